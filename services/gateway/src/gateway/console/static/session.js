// The browser's side of a Wevion session: modules without dependencies, of which this is the one to import.
// See docs/frontend-engineer.md.
//
// The session itself is an HttpOnly cookie that no script can read. This module keeps the short-lived JWT that the
// cookie buys: it renews it ahead of its hour, once for all tabs; it gets over networks that come and go; and it says
// that the session is over only when the server has said so, with one of eight reasons.

/** @import { Live, Reason, SessionOptions, SessionState, Unreachable } from "./session-states.js" */

import { answerOf, endedFor, faultOf } from "./session-answers.js";
import { renewalTime } from "./session-renewal.js";
import { REMEDIES, SessionEnded, SessionUnreachable } from "./session-states.js";

export { renewalTime, spread } from "./session-renewal.js";
export { REMEDIES, SessionEnded, SessionUnreachable, wordsFor } from "./session-states.js";

const TOKEN_PATH = "/api/v1/auth/token";
const SIGN_OUT_PATH = "/api/v1/auth/sign-out";
const CHANNEL = "wevion-session";
const LOCK = "wevion-session-renewal";
const LONGEST_TIMER_MS = 60_000; // a timer does not know how long a machine has slept, so it looks again

/**
 * One session per page. Listen to `change`; its `detail` is the new state.
 *
 *     const session = new Session();
 *     session.addEventListener("change", ({ detail }) => {
 *       if (detail.kind === "ended") location.assign(detail.fixUrl);
 *     });
 *     await session.start();
 *     const jwt = await session.token();
 */
export class Session extends EventTarget {
  /** @type {SessionState} */ #state = { kind: "starting" };
  /** @type {Live | null} */ #held = null;
  /** @type {Promise<SessionState> | null} */ #asking = null;
  /** @type {BroadcastChannel | null} */ #channel = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer = undefined;
  /** @type {AbortController | null} */ #stopped = null;
  #clockOffsetMs = 0;
  #extensionDue = false;
  #faults = 0;
  #renewAtMs = 0;
  #retryAtMs = 0;
  /** Ended sessions never come back: an answer about one of these is a late one. @type {Set<string>} */ #over =
    new Set();
  /** How often another tab has told us an outcome, and when the last of them was asked for (ms since 1970). */
  #heard = 0;
  #heardAskedAtMs = 0;
  /** A question that begins when the present one is answered. @type {Promise<SessionState> | null} */ #next = null;
  #options;

  /** @param {SessionOptions} [options] */
  constructor(options = {}) {
    super();
    this.#options = {
      origin: "",
      leadSeconds: 300,
      timeoutMs: 10_000,
      firstRetryMs: 1_000,
      longestRetryMs: 30_000,
      ...options,
    };
  }

  /** @returns {SessionState} */
  get state() {
    return this.#state;
  }

  /** When the JWT will be renewed, on this machine's clock; null when none is held. @returns {Date | null} */
  get renewsAt() {
    return this.#held && new Date(this.#renewAtMs);
  }

  /** Begin. Resolves with the first thing that is known. @returns {Promise<SessionState>} */
  async start() {
    if (this.#stopped) return this.#state;
    const stopped = new AbortController();
    this.#stopped = stopped;
    const { signal } = stopped;
    this.#channel = new BroadcastChannel(CHANNEL);
    this.#channel.addEventListener("message", ({ data }) => this.#hear(data), { signal });
    addEventListener("online", () => this.#wake(true), { signal });
    addEventListener("offline", () => this.#wake(true), { signal });
    addEventListener("pageshow", (event) => event.persisted && this.check(), { signal });
    document.addEventListener("visibilitychange", () => document.hidden || this.#wake(false), { signal });
    return this.#renew();
  }

  /** Leave timers, channel and events; the session itself lives on. */
  stop() {
    clearTimeout(this.#timer);
    this.#stopped?.abort();
    this.#channel?.close();
    this.#channel = this.#stopped = null;
  }

  /**
   * A JWT that is good for at least another half minute.
   * @returns {Promise<string>}
   * @throws {SessionEnded | SessionUnreachable}
   */
  async token() {
    if (this.#usable(30_000)) return /** @type {Live} */ (this.#held).token;
    if (this.#state.kind === "ended") throw new SessionEnded(this.#state);
    const state = await this.#renew();
    if (this.#usable(0)) return /** @type {Live} */ (this.#held).token;
    if (state.kind === "ended") throw new SessionEnded(state);
    throw new SessionUnreachable(state.kind === "unreachable" ? state.cause : "server");
  }

  /**
   * `fetch` with the JWT, for services that are not behind the gateway. A JWT that is refused for its own sake is
   * renewed
   * and the call repeated, once; when the session is over, the state says so and the refusal is returned as it is.
   * @param {string | URL} url @param {RequestInit} [init]
   * @throws {SessionEnded | SessionUnreachable}
   */
  async fetch(url, init = {}) {
    const send = async () => {
      const headers = new Headers(init.headers);
      headers.set("Authorization", `Bearer ${await this.token()}`);
      return fetch(url, { ...init, headers, credentials: init.credentials ?? "omit" });
    };
    const response = await send();
    if (response.status !== 401) return response;
    const code = await response
      .clone()
      .json()
      .then(
        (problem) => problem?.code,
        () => "",
      );
    if (!Object.hasOwn(REMEDIES, code)) return response;
    const state = await this.check();
    return REMEDIES[/** @type {Reason} */ (code)] === "renew" && state.kind === "live" ? send() : response;
  }

  /**
   * Ask the server whether the session lives: something has happened. An answer that is already on its way may be from
   * before that, so it does not do; callers and tabs that wait for their turn meanwhile share the next one.
   * @returns {Promise<SessionState>}
   */
  check() {
    if (!this.#asking) return this.#begin(Date.now());
    this.#next ??= this.#asking.then(() => {
      this.#next = null;
      return this.check();
    });
    return this.#next;
  }

  /**
   * End the session in every tab. If it cannot be done now, it throws, because the session would live on.
   * @param {{everywhere?: boolean}} [options] `everywhere`: on all devices.
   * @throws {SessionUnreachable}
   */
  async signOut({ everywhere = false } = {}) {
    const sid = this.#held?.sid ?? null;
    let response;
    try {
      response = await fetch(this.#options.origin + SIGN_OUT_PATH, {
        method: "POST",
        credentials: "include",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ everywhere }),
        signal: AbortSignal.timeout(this.#options.timeoutMs),
      });
    } catch (error) {
      throw new SessionUnreachable(faultOf(error));
    }
    if (!response.ok && response.status !== 401) throw new SessionUnreachable("server");
    const ended = endedFor("session_revoked", { cause: "signed_out" });
    this.#tell({ type: "ended", askedAtMs: Date.now(), sid, ended });
    this.#enter(ended);
  }

  /**
   * Tell every tab that somebody has just signed in here. Call it on the sign-in page, before leaving it.
   * @param {string} sid the new session's id
   */
  static announceSignIn(sid) {
    const channel = new BroadcastChannel(CHANNEL);
    channel.postMessage({ type: "signed-in", sid });
    channel.close();
  }

  // ——— asking ———

  /** Get a JWT; any answer that is on its way will do. @returns {Promise<SessionState>} */
  #renew() {
    return this.#asking ?? this.#begin(0);
  }

  /** @param {number} sinceMs the answer has to be to a question that was asked no earlier */
  #begin(sinceMs) {
    this.#asking = this.#askInTurn(sinceMs).finally(() => {
      this.#asking = null;
      this.#schedule();
    });
    return this.#asking;
  }

  /** @param {number} sinceMs */
  #askInTurn(sinceMs) {
    const heardBefore = this.#heard;
    return this.#inTurn(async (waited) => {
      // Another tab had the turn before us: what it learned is on its way here, and may be as good as our own question.
      const told = () => this.#heard > heardBefore && this.#heardAskedAtMs >= sinceMs;
      if (waited && (await this.#soon(told))) return this.#state;
      return this.#ask();
    });
  }

  /** @template T @param {(waited: boolean) => Promise<T>} work @returns {Promise<T>} */
  async #inTurn(work) {
    if (!navigator.locks) return work(false); // only without a secure context; asking twice does no harm
    const first = await navigator.locks.request(LOCK, { ifAvailable: true }, async (lock) =>
      lock ? { done: await work(false) } : null,
    );
    return first ? first.done : navigator.locks.request(LOCK, () => work(true));
  }

  /** @param {() => boolean} told */
  async #soon(told) {
    const until = performance.now() + 150;
    while (!told() && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 10));
    return told();
  }

  /** @returns {Promise<SessionState>} */
  async #ask() {
    const heldBefore = this.#held?.sid ?? null;
    const askedAtMs = Date.now();
    let outcome = await this.#request();
    if (outcome.kind === "live" && outcome.extensionDue && !document.hidden && !outcome.extended) {
      outcome = await this.#request("POST"); // the session is in use: it gets its seven days again
    } else if (outcome.kind === "ended" && outcome.cause === "superseded") {
      outcome = await this.#request(); // the question was on its way while the cookie changed
    }
    const heldNow = this.#held?.sid ?? null;
    if (heldNow !== heldBefore && outcome.kind !== "fault") return this.#state; // a late answer, about another session
    if (outcome.kind === "live") {
      if (this.#over.has(outcome.live.sid)) return this.#state;
      if (heldNow !== null && outcome.live.sid !== heldNow) {
        this.#enter({ kind: "replaced", sid: outcome.live.sid });
        return this.#state;
      }
      this.#faults = 0;
      this.#extensionDue = outcome.extensionDue;
      this.#clockOffsetMs = outcome.clockOffsetMs;
      this.#hold(outcome.live);
      this.#tell({ type: "live", askedAtMs, live: outcome.live, clockOffsetMs: outcome.clockOffsetMs });
    } else if (outcome.kind === "ended") {
      this.#faults = 0;
      this.#tell({ type: "ended", askedAtMs, sid: heldBefore, ended: outcome });
      this.#enter(outcome);
    } else {
      this.#tell({ type: "unreachable", askedAtMs, cause: outcome.cause });
      this.#lose(outcome.cause, outcome.retryAfterMs);
    }
    return this.#state;
  }

  /**
   * GET reads; POST also tells the server that the session is in use.
   * @param {"GET" | "POST"} [method]
   * @returns {Promise<import("./session-answers.js").Answer>}
   */
  async #request(method = this.#extensionDue && !document.hidden ? "POST" : "GET") {
    let response, body;
    try {
      response = await fetch(this.#options.origin + TOKEN_PATH, {
        method,
        credentials: "include",
        cache: "no-store",
        redirect: "error",
        signal: AbortSignal.timeout(this.#options.timeoutMs),
      });
      body = await response.json();
    } catch (error) {
      // A body that is no JSON is somebody else's page (a captive portal, a broken proxy), so it says nothing.
      return { kind: "fault", cause: response ? "server" : faultOf(error), retryAfterMs: 0 };
    }
    return answerOf(response, body, method === "POST");
  }

  // ——— other tabs ———

  /** @param {object} message */
  #tell(message) {
    this.#channel?.postMessage(message);
  }

  /** @param {any} message */
  #hear(message) {
    const held = this.#held?.sid ?? null;
    switch (message?.type) {
      case "live":
        // An answer about another session is not ours to take; the server says which one this browser has now.
        if (this.#over.has(message.live.sid)) return;
        if (held !== null && message.live.sid !== held) return void this.check();
        this.#note(message);
        this.#faults = 0;
        this.#extensionDue = false;
        this.#clockOffsetMs = message.clockOffsetMs;
        this.#hold(Object.freeze({ ...message.live }));
        this.#schedule();
        return;
      case "ended":
        if (held !== null && message.sid !== null && message.sid !== held) return void this.check();
        this.#note(message);
        this.#enter(message.ended);
        return;
      case "unreachable":
        this.#note(message);
        if (this.#asking) this.#lose(message.cause, 0);
        return;
      case "signed-in":
        if (message.sid !== held) this.check();
    }
  }

  /** @param {{askedAtMs: number}} message */
  #note(message) {
    this.#heard += 1;
    this.#heardAskedAtMs = message.askedAtMs;
  }

  // ——— state and time ———

  /** @param {Live} live */
  #hold(live) {
    this.#held = live;
    this.#renewAtMs = renewalTime(live, this.#options.leadSeconds) - this.#clockOffsetMs;
    this.#enter(live);
  }

  /** @param {Unreachable["cause"]} cause @param {number} atLeastMs the wait that the server asked for */
  #lose(cause, atLeastMs) {
    this.#faults += 1;
    const { firstRetryMs, longestRetryMs } = this.#options;
    const ceilingMs = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(this.#faults - 1, 16));
    this.#retryAtMs = Date.now() + Math.max(ceilingMs * (0.5 + Math.random() / 2), atLeastMs);
    const since = this.#state.kind === "unreachable" ? this.#state.since : new Date();
    this.#enter({ kind: "unreachable", cause, since, last: this.#held });
  }

  /** @param {SessionState} state */
  #enter(state) {
    if (state.kind === "ended" || state.kind === "replaced") {
      if (this.#held) this.#over.add(this.#held.sid);
      this.#held = null;
      this.#extensionDue = false;
      clearTimeout(this.#timer);
    }
    this.#state = Object.freeze(state);
    this.dispatchEvent(new CustomEvent("change", { detail: state }));
  }

  /** @param {number} forMs */
  #usable(forMs) {
    return this.#held !== null && this.#held.expiresAt.getTime() - this.#clockOffsetMs - Date.now() > forMs;
  }

  /** @param {boolean} atOnce whether something has changed that makes a new try worth it now */
  #wake(atOnce) {
    if (this.#asking) return;
    const { kind } = this.#state;
    if (kind === "unreachable" || (kind === "live" && (atOnce || Date.now() >= this.#wakeAtMs()))) this.#renew();
  }

  #wakeAtMs() {
    const sessionEnd = this.#held ? this.#held.sessionExpiresAt.getTime() - this.#clockOffsetMs + 500 : Infinity;
    return Math.min(this.#renewAtMs, sessionEnd);
  }

  #schedule() {
    clearTimeout(this.#timer);
    const { kind } = this.#state;
    if (!this.#stopped || (kind !== "live" && kind !== "unreachable")) return;
    const waitMs = (kind === "live" ? this.#wakeAtMs() : this.#retryAtMs) - Date.now();
    if (waitMs > LONGEST_TIMER_MS) this.#timer = setTimeout(() => this.#schedule(), LONGEST_TIMER_MS);
    else this.#timer = setTimeout(() => this.#renew(), Math.max(waitMs, 250));
  }
}
