// Data that was never synced because an account could not be reached. Platforms do not give it later.

/** @import { Gap, Listed } from "../../../../../types/api" */

import { h } from "../dom.js";
import { badge, empty, pageHead, reading, when } from "../parts.js";
import { resources } from "../resources.js";
import { span, title } from "../words.js";

function show() {
  return [
    pageHead(
      "Data gaps",
      "Times for which an account could not be synced. Platforms do not hand the data out later, so reports " +
        "stay without it.",
    ),
    reading(resources.gaps, list, "data gaps"),
  ];
}

/** @param {Listed<Gap>} data */
function list({ items, more }) {
  if (!items.length)
    return empty(
      "gap",
      "No gaps",
      h("p.quiet", null, "Every account has been synced without a break since it was connected."),
    );
  return [
    h(
      "div.card",
      { "data-key": "gaps" },
      h(
        "table.table.stacks",
        null,
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            ["Account", "From", "To", "Length", "Why"].map((word) => h("th", { scope: "col" }, word)),
          ),
        ),
        h("tbody", null, items.map(row)),
      ),
    ),
    more &&
      h("p", { "data-key": "more" }, h("button.button", { type: "button", "data-action": "older" }, "Show older ones")),
  ];
}

/** @param {Gap} one */
function row(one) {
  const to = one.to ? Date.parse(one.to) : Date.now();
  return h(
    "tr",
    { "data-key": one.gap_id },
    h("td", null, h("span.strong", null, one.account_name), h("div.quiet.small", null, title(one.provider))),
    h("td", { "data-label": "From" }, when(one.from)),
    h("td", { "data-label": "To" }, one.to ? when(one.to) : badge("bad", "ended", "Still open")),
    h("td", { "data-label": "Length" }, span((to - Date.parse(one.from)) / 1000)),
    h("td", { "data-label": "Why" }, one.why),
  );
}

/** @type {import("../app.js").Page} */
export default {
  path: "/data-gaps",
  heading: "Data gaps",
  icon: "gap",
  reads: ["gaps"],
  show,
  actions: { older: () => resources.gaps.more(100) },
};
