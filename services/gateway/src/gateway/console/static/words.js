// Names, states and times in words. One place, so that every page says the same.

/** The platforms' own spellings, as oauth-svc states them. @type {Map<string, string>} */
const titles = new Map();

/** Learn how the platforms write their names. @param {{provider: string, title: string}[]} providers */
export function learnTitles(providers) {
  for (const { provider, title: name } of providers) titles.set(provider, name);
}

/** The name that people know a provider by; until it is learned, it is written from its id. @param {string} provider */
export function title(provider) {
  return (
    titles.get(provider) ?? provider.replaceAll(/[-_]/g, " ").replaceAll(/\b\w/g, (letter) => letter.toUpperCase())
  );
}

/**
 * How a token's status looks. @typedef {{word: string, tone: string, icon: string}} Look
 * @type {Record<string, Look>}
 */
const STATUS = {
  active: { word: "Works", tone: "good", icon: "ok" },
  expiring: { word: "Ends soon", tone: "warn", icon: "clock" },
  expired: { word: "Expired", tone: "bad", icon: "ended" },
  revoked: { word: "Ended", tone: "bad", icon: "ended" },
  degraded: { word: "Retrying", tone: "hold", icon: "retrying" },
};

/** @param {string} status @returns {Look} */
export const lookOf = (status) => STATUS[status] ?? { word: status, tone: "", icon: "warning" };

/** How its end became known. @param {string | null} detectedBy @param {string} name */
export function detectedWords(detectedBy, name) {
  switch (detectedBy) {
    case "webhook":
      return `${name} told us`;
    case "refresh":
      return "found at a refresh";
    case "report":
      return "found when a sync was refused";
    case "probe":
      return "found by a check";
    case "user":
    case "admin":
      return "done by a person";
    default:
      return "";
  }
}

const moments = new Intl.DateTimeFormat(undefined, {
  weekday: "short",
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  timeZoneName: "short",
});
const shortMoments = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});

/** The zone in which times are shown: the reader's. */
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** "Mon, 30 Nov 2026, 14:05 CET" @param {string} iso */
export const moment = (iso) => moments.format(new Date(iso));
/** "30 Nov, 14:05" @param {string} iso */
export const shortMoment = (iso) => shortMoments.format(new Date(iso));

/** @type {[string, number][]} */
const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** The two largest units, rounded down, so that it never promises more than there is. @param {number} seconds */
export function span(seconds) {
  const at = UNITS.findIndex(([, size]) => seconds >= size);
  if (at < 0) return "less than a minute";
  const [unit, size] = UNITS[at];
  const whole = Math.floor(seconds / size);
  const next = UNITS[at + 1];
  const rest = next ? Math.floor((seconds % size) / next[1]) : 0;
  const first = count(whole, unit);
  return rest && whole < 7 ? `${first} and ${count(rest, next[0])}` : first;
}

/** "3 minutes ago", "just now" @param {string} iso @param {number} [nowMs] */
export function ago(iso, nowMs = Date.now()) {
  const seconds = (nowMs - Date.parse(iso)) / 1000;
  if (seconds < 60) return "just now";
  const [unit, size] = UNITS.find(([, unitSize]) => seconds >= unitSize) ?? UNITS[2];
  return `${count(Math.floor(seconds / size), unit)} ago`;
}

/** When a session was used, which is known to a day. @param {{last_seen_at: string}} session */
export function lastUsed({ last_seen_at: seen }) {
  const days = Math.floor((Date.now() - Date.parse(seen)) / 86_400_000);
  return days < 1 ? "in the last day" : `about ${count(days, "day")} ago`;
}

/** "Support admin" @param {string} role */
export const roleWord = (role) => sentence(role.replaceAll("_", " "));

/** @param {number} number @param {string} unit */
export const count = (number, unit) => `${number} ${unit}${number === 1 ? "" : "s"}`;

/** With a capital at its beginning. @param {string} words */
export const sentence = (words) => words.replace(/^./u, (letter) => letter.toUpperCase());

/** "A, B and C", "A, B, C and 17 more" @param {string[]} names @param {number} [most] */
export function listed(names, most = 3) {
  if (names.length > most) return `${names.slice(0, most).join(", ")} and ${names.length - most} more`;
  if (names.length < 2) return names[0] ?? "";
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
