// What a session can be: states, reasons and their words, and the errors that say so. Part of `session.js`.

/**
 * The eight reasons for which Wevion refuses a session or its JWT (401): `code` of the problem document.
 * @typedef {"token_missing" | "token_invalid" | "token_expired" | "clock_skew" | "session_expired" | "session_revoked"
 *   | "impersonation_ended" | "user_disabled"} Reason
 */

/**
 * What helps: `sign_in` (the session is over), `renew` (get a new JWT and repeat the call: `Session.fetch` does it),
 * `set_clock` (a machine's clock is wrong), `ask_admin` (nobody can sign in to this account now).
 * @typedef {"sign_in" | "renew" | "set_clock" | "ask_admin"} Remedy
 */

/**
 * @typedef {object} Live            A session, and a JWT that is good now.
 * @property {"live"} kind
 * @property {string} token          For `Authorization: Bearer` towards services that are not behind the gateway.
 * @property {string} sid            The session's id.
 * @property {Date} issuedAt         When the JWT was made, on the server's clock.
 * @property {Date} expiresAt        When the JWT ends, on the server's clock.
 * @property {Date} sessionExpiresAt When the session ends unless it is used.
 */

/**
 * @typedef {object} Ended           The session is over, or there never was one: ask to sign in.
 * @property {"ended"} kind
 * @property {Reason} reason         One of those whose remedy is `sign_in` or `ask_admin`.
 * @property {string} cause          Finer, where there is one: signed_out, admin_forced, password_changed,
 *                                   permission_changed, superseded, expired, impersonation_ended, account_disabled.
 * @property {string} title
 * @property {string} detail
 * @property {string} fix            What the person can do, in words.
 * @property {string} fixUrl
 */

/**
 * @typedef {object} Unreachable     Nobody knows at the moment. Do not ask to sign in; it mends itself.
 * @property {"unreachable"} kind
 * @property {"offline" | "network" | "timeout" | "server"} cause
 * @property {Date} since
 * @property {Live | null} last      What was held before. Its JWT is still used while it is good.
 */

/**
 * @typedef {object} Replaced        The browser now holds the session of somebody else: show nothing old; reload.
 * @property {"replaced"} kind
 * @property {string} sid
 */

/** @typedef {{kind: "starting"} | Live | Ended | Unreachable | Replaced} SessionState */

/** What each reason asks for. @type {Readonly<Record<Reason, Remedy>>} */
export const REMEDIES = Object.freeze({
  token_missing: "sign_in",
  token_invalid: "renew",
  token_expired: "renew",
  clock_skew: "set_clock",
  session_expired: "sign_in",
  session_revoked: "sign_in",
  impersonation_ended: "sign_in",
  user_disabled: "ask_admin",
});

/** @type {Readonly<Record<string, [title: string, fix: string]>>} by cause, then by reason */
const WORDS = Object.freeze({
  signed_out: ["You signed out", "It was in this tab, in another one, or from another device. Sign in again to go on."],
  admin_forced: [
    "An administrator signed you out",
    "Sign in again. If that is refused, ask your workspace's administrator.",
  ],
  password_changed: [
    "The password was changed",
    "That ends every other session. Sign in with the new one. If it was not you who changed it, reset it now.",
  ],
  permission_changed: ["Your role in the workspace changed", "Sign in again to go on with what you may do now."],
  superseded: ["A newer session took this one's place", "Sign in again to go on here."],
  token_missing: ["Sign in to go on", ""],
  token_invalid: ["The token is not valid", "Get a new one and repeat the call."],
  token_expired: ["The token has expired", "Get a new one and repeat the call."],
  clock_skew: ["The clocks differ too much", "Set the clock of this device right."],
  session_expired: [
    "Your session expired",
    "It was not used for seven days. Sign in again; nothing that you saved is lost.",
  ],
  session_revoked: ["Your session was ended", "Sign in again to go on."],
  impersonation_ended: ["You no longer act as somebody else", "Sign in again as yourself, the original administrator."],
  user_disabled: ["This account is disabled", "Ask your workspace's administrator, or Wevion support, to enable it."],
});

/**
 * A reason in words, for a page that knows only the codes.
 * @param {string} reason @param {string} [cause]
 * @returns {{title: string, fix: string} | null} null for a code that is none of ours
 */
export function wordsFor(reason, cause = "") {
  if (!Object.hasOwn(REMEDIES, reason)) return null;
  const [title, fix] = (Object.hasOwn(WORDS, cause) && WORDS[cause]) || WORDS[reason];
  return { title, fix };
}

/** Reasons after which only a person can go on. */
export const ENDING = new Set(
  Object.entries(REMEDIES).flatMap(([reason, remedy]) =>
    remedy === "sign_in" || remedy === "ask_admin" ? [reason] : [],
  ),
);

/** Thrown by `token()` when the session is over. */
export class SessionEnded extends Error {
  /** @param {Ended} state */
  constructor(state) {
    super(state.title);
    this.name = "SessionEnded";
    this.state = state;
    this.reason = state.reason;
  }
}

/** Thrown by `token()` and `signOut()` when the server cannot be asked now. Try again later. */
export class SessionUnreachable extends Error {
  /** @param {Unreachable["cause"]} cause */
  constructor(cause) {
    super(`the session could not be asked for: ${cause}`);
    this.name = "SessionUnreachable";
    this.cause = cause;
  }
}

/**
 * @typedef {object} SessionOptions
 * @property {string} [origin]          The gateway's origin; default: the page's own.
 * @property {number} [leadSeconds]     How long before its end a JWT is renewed, at the latest. Default 300.
 * @property {number} [timeoutMs]       How long one question to the server may take. Default 10 000.
 * @property {number} [firstRetryMs]    The first wait after a fault; it doubles. Default 1 000.
 * @property {number} [longestRetryMs]  The longest wait between two tries. Default 30 000.
 */
