// When a JWT is renewed. Part of `session.js`.

/** @import { Live } from "./session-states.js" */

/**
 * When a JWT is to be renewed, in milliseconds on the server's clock: `leadSeconds` before its end (a quarter of its
 * life at most), and up to 5 % of its life earlier. How much earlier is a hash of the session's id, so that a
 * morning of sign-ins does not come back as one wave on the hour, and all tabs of a browser agree.
 * @param {Pick<Live, "sid" | "issuedAt" | "expiresAt">} live
 * @param {number} leadSeconds
 */
export function renewalTime(live, leadSeconds) {
  const lifeMs = live.expiresAt.getTime() - live.issuedAt.getTime();
  return live.expiresAt.getTime() - Math.min(leadSeconds * 1000, lifeMs / 4) - spread(live.sid) * 0.05 * lifeMs;
}

/** A number in [0, 1) that is the same for the same text: FNV-1a, finished as murmur3 does. @param {string} text */
export function spread(text) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
