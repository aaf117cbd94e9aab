// Automation rules: which are paused, by whom and why, and what brings them back.

/** @import { Listed, Reason, Rule } from "../../../../../types/api" */

import { post } from "../api.js";
import { h, icon } from "../dom.js";
import { badge, empty, fixButton, pageHead, reading, whenAgo } from "../parts.js";
import { fixLink } from "../paths.js";
import { personName } from "../people.js";
import { resources } from "../resources.js";
import { count, sentence, title } from "../words.js";

/** @param {Rule} rule */
const rank = (rule) => ["auto", "held", "person", "off", "runs"].indexOf(stateOf(rule));

/** Who or what stops it. A person's pause wins over ours. @param {Rule} rule */
function stateOf(rule) {
  if (rule.running) return "runs";
  if (rule.person_paused_at) return "person";
  if (rule.held) return "held";
  if (rule.auto_paused_at) return "auto";
  return "off";
}

function show() {
  const items = resources.rules.data?.items ?? [];
  const held = items.filter((/** @type {Rule} */ one) => stateOf(one) === "auto").length;
  return [
    pageHead(
      "Automation rules",
      held
        ? `${count(held, "rule")} ${held === 1 ? "is" : "are"} paused because an account cannot be reached. ` +
            `They resume by themselves once it can.`
        : "Rules on an account that cannot be reached are paused, and resume by themselves once it can.",
    ),
    reading(resources.rules, list, "rules"),
  ];
}

/** @param {Listed<Rule>} data */
function list({ items, more }) {
  if (!items.length)
    return empty(
      "rule",
      "No automation rules",
      h("p.quiet", null, "Rules that you make in Automation appear here with the accounts that they work on."),
    );
  const sorted = items.toSorted(
    (/** @type {Rule} */ one, /** @type {Rule} */ other) =>
      rank(one) - rank(other) || one.name.localeCompare(other.name),
  );
  return [
    h("div.stack", { "data-key": "rules" }, sorted.map(card)),
    more && h("p", { "data-key": "more" }, h("button.button", { type: "button", "data-action": "older" }, "Show more")),
  ];
}

/** @param {Rule} one */
function card(one) {
  const reason = one.reasons?.[0];
  const url = stateOf(one) === "auto" && fixLink(reason?.fix_url, "/rules");
  return h(
    "article.card",
    { "data-key": one.rule_id, "data-status": stateOf(one), "aria-labelledby": `rule-${one.rule_id}` },
    h(
      "div.item.rule",
      null,
      h("div.mark", null, icon("rule")),
      h(
        "div.item-words",
        null,
        h("div.item-title", null, h("h2", { id: `rule-${one.rule_id}` }, one.name), badge(...LOOKS[stateOf(one)])),
        why(one),
        h("p.quiet.small", null, `Works on ${count(one.account_ids.length, "account")}.`),
      ),
      h(
        "div.item-action",
        null,
        url && fixButton({ url, label: `Re-authorise ${title(reason.provider)}` }),
        button(one),
      ),
    ),
  );
}

/** @type {Record<string, [tone: string, icon: string, word: string]>} */
const LOOKS = {
  auto: ["warn", "paused", "Paused by Wevion"],
  held: ["hold", "paused", "Waits for you"],
  person: ["", "paused", "Paused by a person"],
  off: ["", "paused", "Switched off"],
  runs: ["good", "ok", "Runs"],
};

/** @param {Rule} one */
function why(one) {
  switch (stateOf(one)) {
    case "auto":
      return [
        one.reasons.map((/** @type {Reason} */ reason) =>
          h("p", { "data-key": reason.account_id }, sentence(reason.words), " ", h("span.quiet", null, reason.fix)),
        ),
        h(
          "p.quiet.small",
          { "data-key": "since" },
          "Paused ",
          whenAgo(/** @type {string} */ (one.auto_paused_at)),
          ". It resumes by itself.",
        ),
      ];
    case "held":
      return h("p", null, "Every account works again, but the rule was changed meanwhile. Look at it, and resume it.");
    case "person":
      return h(
        "p",
        null,
        "Paused ",
        whenAgo(/** @type {string} */ (one.person_paused_at)),
        one.person_paused_by && ` by ${personName(one.person_paused_by)}`,
        ". It stays so until a person resumes it.",
      );
    case "off":
      return h("p", null, "It is switched off in Automation.");
    default:
      return null;
  }
}

/** @param {Rule} one */
function button(one) {
  switch (stateOf(one)) {
    case "runs":
      return h("button.plain.quiet", { type: "button", "data-action": "pause", "data-id": one.rule_id }, "Pause");
    case "held":
    case "person":
      return h("button.button", { type: "button", "data-action": "resume", "data-id": one.rule_id }, "Resume");
    default:
      return null;
  }
}

/** @type {import("../app.js").Page} */
export default {
  path: "/rules",
  heading: "Rules",
  icon: "rule",
  reads: ["rules", "people"],
  show,
  actions: {
    async pause(id) {
      await post(`/api/v1/rules/${id}/pause`);
      await resources.rules.read();
    },
    async resume(id) {
      await post(`/api/v1/rules/${id}/resume`);
      await resources.rules.read();
    },
    older: () => resources.rules.more(200),
  },
};
