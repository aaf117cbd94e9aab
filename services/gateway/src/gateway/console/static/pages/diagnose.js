// "Token expired" can mean four things. Paste the error, and read which token it is, what happened to it, and the fix.

/** @import { Candidate, Diagnosis, Provider } from "../../../../../types/api" */

import { post } from "../api.js";
import { h, icon } from "../dom.js";
import { looking } from "../looking.js";
import { badge, fixButton, mark, pageHead, says, statusBadge } from "../parts.js";
import { fixLink } from "../paths.js";
import { resources } from "../resources.js";
import { sentence, title } from "../words.js";

const PATH = "/which-token";
const LONGEST = 20_000;

/** Where an error can have appeared, in the words of the product. */
const AREAS = ["Ads Manager", "Analytics", "Campaign Creator", "Chat", "Settings → Integrations", "Notifications"];

/** @type {Record<string, string>} */
const KINDS = {
  session: "your Wevion sign-in",
  platform_oauth: "the connection to an ad platform",
  integration: "an integration",
  telegram_link: "the Telegram link",
};

/** @type {Record<string, [tone: string, words: string]>} */
const CERTAINTY = {
  high: ["good", "Sure"],
  medium: ["hold", "Likely"],
  low: ["warn", "A guess"],
};

function show() {
  return [
    pageHead(
      "Which token is it?",
      "“Token expired” can mean four things. Paste what you saw; the answer names the token, what happened " +
        "to it, and what to click.",
    ),
    form(),
    h("div", { role: "status", "data-key": "found" }, looking.diagnosis.found && answer(looking.diagnosis.found)),
  ];
}

function form() {
  const providers = resources.providers.data?.items ?? [];
  return h(
    "form.card.form",
    { "data-key": "question", "data-action": "diagnose" },
    h(
      "label.field",
      null,
      h("span", null, "The error or notice"),
      h("textarea.code", {
        name: "text",
        rows: 5,
        maxlength: LONGEST,
        spellcheck: "false",
        placeholder: "Error validating access token: Session has expired …",
      }),
      h("small", null, "Words, an HTTP answer, or the platform's own JSON. Leave out passwords and tokens."),
    ),
    h(
      "div.form-row",
      null,
      choice(
        "Where did it appear?",
        "area",
        AREAS.map((area) => [area, area]),
      ),
      choice(
        "Platform",
        "provider",
        providers.map((/** @type {Provider} */ one) => [one.provider, title(one.provider)]),
      ),
      h("button.button.primary", { type: "submit" }, "Find the token"),
    ),
  );
}

/** @param {string} label @param {string} name @param {[string, string][]} options */
const choice = (label, name, options) =>
  h(
    "label.field",
    { "data-key": name },
    h("span", null, label),
    h(
      "select",
      { name },
      h("option", { value: "" }, "I do not know"),
      options.map(([value, words]) => h("option", { value, "data-key": value }, words)),
    ),
  );

/** @param {Diagnosis} one */
function answer(one) {
  if (!one.kind) return says("hold", "warning", h("p", null, one.words));
  const [tone, sure] = CERTAINTY[one.certainty] ?? CERTAINTY.low;
  const others = one.candidates.slice(1);
  return h(
    "section.section",
    null,
    h("h2", null, "The answer"),
    h(
      "article.card",
      { "data-kind": one.kind, class: one.nothing_wrong ? "" : "needs" },
      h(
        "div.item",
        null,
        one.provider ? mark(one.provider) : h("div.mark", null, icon("link")),
        h(
          "div.item-words",
          null,
          h(
            "div.item-title",
            null,
            h("h3", null, sentence(name(one))),
            badge(tone, one.certainty === "high" ? "ok" : "warning", sure),
            one.token && statusBadge(one.token.status),
          ),
          h("p", null, sentence(one.words)),
          !one.nothing_wrong && one.fix && h("p.strong", null, one.fix),
          accounts(one),
          one.otherwise.length > 0 && h("div", null, h("p", null, "If that is not it:"), list(one.otherwise)),
          one.evidence.length > 0 &&
            h("details", { "data-key": "evidence" }, h("summary", null, "Why this answer"), list(one.evidence)),
        ),
        h("div.item-action", null, !one.nothing_wrong && button(one), one.check && !one.check.asked && checkButton()),
      ),
    ),
    others.length > 0 &&
      h("p.quiet", { "data-key": "others" }, "It could also be ", others.map(name).join(", or "), "."),
  );
}

/** @param {Candidate | Diagnosis} one */
const name = (one) =>
  one.provider && one.kind !== "session" ? `${KINDS[one.kind ?? ""]} (${title(one.provider)})` : KINDS[one.kind ?? ""];

/** @param {string[]} items */
const list = (items) =>
  h(
    "ul.plain-list",
    null,
    items.map((item) => h("li", { "data-key": item }, sentence(item))),
  );

/** @param {Diagnosis} one */
function accounts(one) {
  const names = one.token?.accounts?.map((account) => account.name) ?? [];
  return names.length > 0 && h("p.quiet.small", null, names.join(", "));
}

/** @param {Diagnosis} one */
function button(one) {
  const url = fixLink(one.fix_url, PATH);
  return url && fixButton({ url, label: one.kind === "session" ? "Sign in again" : "Fix it" });
}

const checkButton = () => h("button.button", { type: "button", "data-action": "check" }, "Check it now");

/** @type {import("../app.js").Page} */
export default {
  path: PATH,
  heading: "Which token?",
  icon: "search",
  reads: ["providers"],
  show,
  actions: {
    async diagnose(_, element) {
      const given = new FormData(/** @type {HTMLFormElement} */ (element));
      looking.diagnosis.asked = Object.fromEntries([...given].filter(([, value]) => String(value).trim() !== ""));
      looking.diagnosis.found = await post("/api/v1/tokens/diagnose", looking.diagnosis.asked);
    },
    async check() {
      looking.diagnosis.found = await post("/api/v1/tokens/diagnose", { ...looking.diagnosis.asked, check: true });
    },
  },
};
