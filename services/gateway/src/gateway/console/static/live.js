// Live hints from the gateway's server-sent events, over one connection for all tabs of a browser: browsers allow six
// connections to a server, and a stream per tab would use them up. The tab that holds the lock has the stream and
// passes on what it hears; when it closes, the next one takes over.

const URL_PATH = "/api/v1/events";
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;

/** What the gateway may send; a kind that is not listed here would not be heard. */
export const TOPICS = [
  "token.issued",
  "token.refreshed",
  "token.refresh_failed",
  "token.expiring",
  "token.expired",
  "token.revoked",
  "token.state",
  "account.access_changed",
  "platform.incident",
  "data_gap.closed",
  "rule.paused",
  "rule.resumed",
  "notice.sent",
];

/**
 * Dispatches `hint` ({topic, about}), `resync` (something may have been missed), `status` ({connected}), and `closed`
 * (the gateway refused the stream or ended it: look at the session).
 */
export class Live extends EventTarget {
  connected = false;
  #sid;
  #leading = false;
  #faults = 0;
  /** @type {BroadcastChannel} */ #channel;
  #stop = new AbortController();
  /** @type {EventSource | null} */ #source = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer = undefined;

  /** @param {string} sid the session whose events these are */
  constructor(sid) {
    super();
    this.#sid = sid;
    this.#channel = new BroadcastChannel(`wevion-live-${sid}`);
    this.#channel.addEventListener("message", ({ data }) => this.#emit(data));
    addEventListener("pageshow", (event) => event.persisted && this.#emit({ type: "resync" }), {
      signal: this.#stop.signal,
    });
    addEventListener("online", () => this.#source || this.#open(), { signal: this.#stop.signal });
    this.#lead();
  }

  stop() {
    this.#stop.abort();
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#channel.close();
  }

  async #lead() {
    const { signal } = this.#stop;
    const hold = () =>
      new Promise((resolve) => {
        signal.addEventListener("abort", () => resolve(undefined));
        this.#leading = true;
        this.#open();
      });
    try {
      await (navigator.locks?.request(`wevion-live-${this.#sid}`, { signal }, hold) ?? hold());
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  #open() {
    if (!this.#leading || this.#stop.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#source?.close();
    const source = new EventSource(URL_PATH);
    this.#source = source;
    source.addEventListener("open", () => {
      this.#faults = 0;
      this.#pass({ type: "status", connected: true });
      this.#pass({ type: "resync" });
    });
    source.addEventListener("error", () => {
      this.#pass({ type: "status", connected: false });
      if (source.readyState !== EventSource.CLOSED) return; // it comes back by itself, with its last event's id
      this.#pass({ type: "closed" });
      this.#source = null;
      const waitMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#faults) * (0.5 + Math.random() / 2);
      this.#faults = Math.min(this.#faults + 1, 8);
      this.#timer = setTimeout(() => this.#open(), waitMs);
    });
    for (const topic of TOPICS) {
      source.addEventListener(topic, ({ data }) => this.#pass({ type: "hint", topic, about: parsed(data) }));
    }
    source.addEventListener("resync", () => this.#pass({ type: "resync" }));
    source.addEventListener("session.ended", () => this.#pass({ type: "closed" }));
  }

  /** For this tab and the others. @param {any} message */
  #pass(message) {
    this.#emit(message);
    if (!this.#stop.signal.aborted) this.#channel.postMessage(message);
  }

  /** @param {any} message */
  #emit(message) {
    if (this.#stop.signal.aborted) return;
    if (message.type === "status") {
      if (this.connected === message.connected) return;
      this.connected = message.connected;
    }
    this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
  }
}

/** @param {string} data */
function parsed(data) {
  try {
    const about = JSON.parse(data);
    return about && typeof about === "object" ? about : {};
  } catch {
    return {};
  }
}
