// What the pages have read from the API, and when to read it again. A live event is only a hint to do so.

/** @import { AuditEntry, Connection, Gap, Integrations, Listed, Me, Member } from "../../../../types/api" */
/** @import { Notice, NoticePage } from "../../../../types/api" */
/** @import { OwnSessions, Person, Preferences, Providers, Rule, TelegramLink } from "../../../../types/api" */

import { get, list, Problem } from "./api.js";
import { learnTitles } from "./words.js";

const FIRST_RETRY_MS = 2_000;
const LONGEST_RETRY_MS = 30_000;
const DEBOUNCE_MS = 80;
const LONGEST_DEBOUNCE_MS = 400;

/**
 * One thing that is read over the API. Dispatches `change`.
 * @template T
 */
export class Resource extends EventTarget {
  /** The last good answer. @type {T | null} */ data = null;
  /** Why the last try gave none. @type {Problem | null} */ problem = null;
  /** @type {Date | null} */ readAt = null;
  #path;
  #most;
  #still;
  #wanted = false;
  #reading = false;
  #again = false;
  #faults = 0;
  #firstHintMs = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer = undefined;
  /** @type {AbortController | null} */ #abort = null;

  /**
   * @param {string} name
   * @param {string} path
   * @param {{most?: number, still?: boolean}} [options] `most`: it is a paged list, of which so many items are read;
   *   `still`: it is read when somebody asks, never by a hint
   */
  constructor(name, path, { most = 0, still = false } = {}) {
    super();
    this.name = name;
    this.#path = path;
    this.#most = most;
    this.#still = still;
  }

  /** Read from another address from now on: a search, a filter. @param {string} path */
  aim(path) {
    if (path !== this.#path) this.forget();
    this.#path = path;
    return this.read();
  }

  /** Somebody looks at it from now on. */
  want() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.read();
  }

  /** Nobody looks at it any more. What was read stays, for the next look. */
  leave() {
    this.#wanted = false;
    clearTimeout(this.#timer);
  }

  /** It may have changed. Many hints at once make one reading. */
  hint() {
    if (!this.#wanted || this.#still) return;
    const now = performance.now();
    this.#firstHintMs ||= now;
    this.#later(Math.min(DEBOUNCE_MS, Math.max(0, this.#firstHintMs + LONGEST_DEBOUNCE_MS - now)));
  }

  /** Forget it: it belongs to another session. */
  forget() {
    this.#abort?.abort();
    this.data = this.problem = this.readAt = null;
  }

  /** Show at once what we expect to be true; the next reading says what is. @param {(data: T) => T} change */
  expect(change) {
    if (!this.data) return;
    this.data = change(this.data);
    this.dispatchEvent(new Event("change"));
  }

  /** Read more of a list. @param {number} by */
  more(by) {
    this.#most += by;
    return this.read();
  }

  /** Read it now. A reading that is under way is followed by another, because it may have begun too early. */
  async read() {
    clearTimeout(this.#timer);
    this.#firstHintMs = 0;
    if (this.#reading) {
      this.#again = true;
      return;
    }
    this.#reading = true;
    try {
      do {
        this.#again = false;
        await this.#readOnce();
      } while (this.#again);
    } finally {
      this.#reading = false;
    }
  }

  async #readOnce() {
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const data = this.#most ? await list(this.#path, this.#most, abort.signal) : await get(this.#path, abort.signal);
      if (abort.signal.aborted) return;
      this.data = data;
      this.problem = null;
      this.readAt = new Date();
      this.#faults = 0;
    } catch (error) {
      if (abort.signal.aborted) return;
      this.problem =
        error instanceof Problem
          ? error
          : new Problem({ title: "The answer was not understood", detail: String(error) });
      if (this.problem.passing && this.#wanted) {
        const ceilingMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#faults, 8));
        this.#faults += 1;
        this.#later(Math.max(ceilingMs * (0.5 + Math.random() / 2), this.problem.retryAfterMs));
      }
    }
    this.dispatchEvent(new Event("change"));
  }

  /** @param {number} ms */
  #later(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.read(), ms);
  }
}

/** Everything the console reads. */
export const resources = {
  me: /** @type {Resource<Me>} */ (new Resource("me", "/api/v1/auth/session")),
  people: /** @type {Resource<Listed<Person>>} */ (new Resource("people", "/api/v1/people", { most: 1_000 })),
  connections: /** @type {Resource<Listed<Connection>>} */ (
    new Resource("connections", "/api/v1/connections?kind=platform_oauth", { most: 1_000 })
  ),
  providers: /** @type {Resource<Providers>} */ (new Resource("providers", "/api/v1/providers")),
  integrations: /** @type {Resource<Integrations>} */ (new Resource("integrations", "/api/v1/integrations")),
  gaps: /** @type {Resource<Listed<Gap>>} */ (new Resource("gaps", "/api/v1/data-gaps", { most: 100 })),
  rules: /** @type {Resource<Listed<Rule>>} */ (new Resource("rules", "/api/v1/rules", { most: 200 })),
  notices: /** @type {Resource<Listed<Notice, NoticePage>>} */ (
    new Resource("notices", "/api/v1/notices", { most: 50 })
  ),
  preferences: /** @type {Resource<Preferences>} */ (new Resource("preferences", "/api/v1/notification-preferences")),
  telegram: /** @type {Resource<TelegramLink>} */ (new Resource("telegram", "/api/v1/telegram/link")),
  sessions: /** @type {Resource<OwnSessions>} */ (new Resource("sessions", "/api/v1/auth/sessions")),
  members: /** @type {Resource<Listed<Member>>} */ (new Resource("members", "/api/v1/admin/users", { most: 200 })),
  audit: /** @type {Resource<Listed<AuditEntry>>} */ (
    new Resource("audit", "/api/v1/admin/audit", { most: 100, still: true })
  ), // reading it is recorded in it
};

/** @typedef {keyof typeof resources} Name */

/**
 * Which readings an event may have changed.
 * @param {string} topic
 * @param {{kind?: string}} about
 * @returns {Name[]}
 */
export function touchedBy(topic, about) {
  if (topic.startsWith("token.")) {
    switch (about.kind) {
      case "platform_oauth":
        return ["connections", "gaps"];
      case "integration":
        return ["integrations", "gaps"];
      case "telegram_link":
        return ["telegram"];
      case "session":
        return ["sessions"];
      default:
        return ["connections", "integrations"];
    }
  }
  if (topic.startsWith("account.")) return ["connections", "integrations"];
  if (topic.startsWith("rule.")) return ["rules"];
  if (topic.startsWith("notice.")) return ["notices"];
  if (topic.startsWith("data_gap.")) return ["gaps"];
  if (topic.startsWith("platform.")) return ["connections"];
  return [];
}

resources.providers.addEventListener("change", () => learnTitles(resources.providers.data?.items ?? []));
