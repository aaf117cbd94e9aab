// What the server's answer to the question for a JWT means. Part of `session.js`.

/** @import { Ended, Live, Reason, Unreachable } from "./session-states.js" */

import { ENDING, wordsFor } from "./session-states.js";

const LONGEST_RETRY_AFTER_S = 120;

/**
 * @typedef {{kind: "live", live: Live, extensionDue: boolean, extended: boolean, clockOffsetMs: number}
 *   | Ended | {kind: "fault", cause: Unreachable["cause"], retryAfterMs: number}} Answer
 */

/**
 * @param {Response} response
 * @param {any} body its JSON
 * @param {boolean} extended whether the question said that the session is in use
 * @returns {Answer}
 */
export function answerOf(response, body, extended) {
  if (response.ok && typeof body?.token === "string" && typeof body.session_id === "string") {
    return {
      kind: "live",
      extended,
      extensionDue: body.extension_due === true,
      clockOffsetMs: body.issued_at * 1000 - Date.now(),
      live: Object.freeze({
        kind: "live",
        token: body.token,
        sid: body.session_id,
        issuedAt: new Date(body.issued_at * 1000),
        expiresAt: new Date(body.expires_at * 1000),
        sessionExpiresAt: new Date(body.session_expires_at),
      }),
    };
  }
  if (response.status === 401 && ENDING.has(body?.code)) return endedFor(body.code, body);
  const seconds = Number(response.headers.get("Retry-After"));
  return {
    kind: "fault",
    cause: "server",
    retryAfterMs: seconds > 0 ? Math.min(seconds, LONGEST_RETRY_AFTER_S) * 1000 : 0,
  };
}

/**
 * @param {Reason} reason
 * @param {{cause?: unknown, title?: string, detail?: string, fix?: string}} problem
 * @returns {Ended}
 */
export function endedFor(reason, problem) {
  const cause = typeof problem.cause === "string" ? problem.cause : "";
  const words = /** @type {{title: string, fix: string}} */ (wordsFor(reason, cause));
  return {
    kind: "ended",
    reason,
    cause,
    title: problem.title ?? words.title,
    detail: problem.detail ?? "",
    fix: problem.fix ?? words.fix,
    fixUrl: `/sign-in?${new URLSearchParams(cause ? { reason, cause } : { reason })}`,
  };
}

/** @param {unknown} error @returns {Unreachable["cause"]} */
export function faultOf(error) {
  if (error instanceof DOMException && error.name === "TimeoutError") return "timeout";
  return navigator.onLine ? "network" : "offline";
}
