// The API as the console uses it: through the gateway, by cookie. Every refusal is a problem document (RFC 9457).

/**
 * A refusal, or no answer at all (`status` 0).
 * @typedef {{status: number, code: string, title: string, detail: string, fix: string, fixUrl: string,
 *   service: string, errors: {field: string, message: string}[], retryAfterMs: number}} ProblemFacts
 */
export class Problem extends Error {
  /** @param {Partial<ProblemFacts>} facts */
  constructor(facts) {
    super(facts.title || facts.code || "problem");
    this.name = "Problem";
    this.status = facts.status ?? 0;
    this.code = facts.code ?? "unreachable";
    this.title = facts.title ?? "Wevion could not be reached";
    this.detail = facts.detail ?? "";
    this.fix = facts.fix ?? "";
    this.fixUrl = facts.fixUrl ?? "";
    this.service = facts.service ?? "";
    this.errors = facts.errors ?? [];
    this.retryAfterMs = facts.retryAfterMs ?? 0;
  }

  /** For a person, in one line: what is wrong and what helps. */
  get words() {
    const said = this.errors.length
      ? this.errors.map((one) => `${one.field.replaceAll("_", " ")}: ${one.message}.`)
      : [this.detail];
    return [this.title, ...said, this.fix]
      .filter(Boolean)
      .map((part) => (/[.!?]$/.test(part) ? part : `${part}.`))
      .join(" ");
  }

  /** Whether trying again by itself can help. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const TIMEOUT_MS = 20_000;

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>} the JSON of the answer; null for an empty one
 * @throws {Problem}
 */
export async function call(method, path, body, signal) {
  /** @type {RequestInit} */
  const init = { method, headers: { Accept: "application/json" }, cache: "no-store", credentials: "same-origin" };
  if (body !== undefined) {
    init.headers = { ...init.headers, "Content-Type": "application/json" };
    init.body = JSON.stringify(body);
  }
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  init.signal = signal ? AbortSignal.any([signal, timeout]) : timeout;
  let response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    const detail = navigator.onLine ? "The network or the server did not answer." : "This device is offline.";
    throw new Problem({ detail, fix: "It is tried again by itself." });
  }
  if (response.status === 204) return null;
  const text = await response.text().catch(() => "");
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    if (response.ok && text === "") return null;
    throw new Problem({
      status: response.status || 502,
      code: "unexpected_answer",
      title: "That was no answer of Wevion's",
    });
  }
  if (response.ok) return answer;
  const seconds = Number(response.headers.get("Retry-After"));
  throw new Problem({
    status: response.status,
    code: answer.code,
    title: answer.title || `Refused (${response.status})`,
    detail: answer.detail,
    fix: answer.fix,
    fixUrl: answer.fix_url,
    service: answer.service,
    errors: answer.errors,
    retryAfterMs: seconds > 0 ? Math.min(seconds, 120) * 1000 : 0,
  });
}

/** @param {string} path @param {AbortSignal} [signal] */
export const get = (path, signal) => call("GET", path, undefined, signal);
/** @param {string} path @param {object} [body] */
export const post = (path, body) => call("POST", path, body);
/** @param {string} path @param {object} body */
export const put = (path, body) => call("PUT", path, body);
/** @param {string} path */
export const remove = (path) => call("DELETE", path);

/**
 * Every item of a paged list, up to `most`.
 * @param {string} path @param {number} most @param {AbortSignal} [signal]
 * @returns {Promise<{items: any[], more: boolean, [member: string]: any}>}
 */
export async function list(path, most, signal) {
  const items = [];
  let cursor = "";
  let first;
  do {
    const limit = Math.min(200, most - items.length);
    const query = `${path.includes("?") ? "&" : "?"}limit=${limit}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`;
    const page = await get(path + query, signal);
    first ??= page;
    items.push(...page.items);
    cursor = page.next_cursor ?? "";
  } while (cursor && items.length < most);
  return { ...first, items, more: cursor !== "" };
}
