// What Wevion has told this person, newest first. What is resolved stays, in grey.

/** @import { Listed, Notice, NoticePage } from "../../../../../types/api" */

import { post } from "../api.js";
import { h } from "../dom.js";
import { badge, empty, fixButton, pageHead, reading, when, whenAgo } from "../parts.js";
import { fixLink } from "../paths.js";
import { resources } from "../resources.js";
import { listed } from "../words.js";

const MORE = 50;

/** @param {Notice} notice */
export const unread = (notice) => !notice.read_at && !notice.resolved_at;

function show() {
  const { notices } = resources;
  const waiting = notices.data?.items.filter(unread) ?? [];
  return [
    pageHead(
      "Notices",
      "What ends soon, what has ended, and what has come back. They arrive here by themselves.",
      waiting.length > 1 && h("button.button", { type: "button", "data-action": "readAll" }, "Mark all as read"),
    ),
    reading(notices, list, "notices"),
  ];
}

/** @param {Listed<Notice, NoticePage>} data */
function list({ items, more }) {
  if (!items.length)
    return empty(
      "bell",
      "No notices",
      h(
        "p.quiet",
        null,
        "When a token is about to end, or has ended, you are told here, by email, and on Telegram if you connect it.",
      ),
    );
  return [
    h("div.stack", { "data-key": "notices" }, items.map(card)),
    more &&
      h("p", { "data-key": "more" }, h("button.button", { type: "button", "data-action": "older" }, "Show older ones")),
  ];
}

/** @param {Notice} one */
function card(one) {
  const over = Boolean(one.resolved_at);
  const link = over || resources.me.data?.acting_admin_user_id ? null : fixLink(one.fix_url, "/notices");
  const url = link?.startsWith("/notices") ? null : link; // some have nothing to be done about
  return h(
    "article.card.notice",
    {
      class: over ? "over read" : one.read_at ? "read" : "",
      "data-key": one.notice_id,
      "data-code": one.code,
      "aria-labelledby": `notice-${one.notice_id}`,
    },
    h("span.dot", { "aria-hidden": "true" }),
    h(
      "div.notice-words",
      null,
      h("h2", { id: `notice-${one.notice_id}` }, unread(one) && h("span.unseen", null, "Unread: "), one.title),
      over
        ? h("p", null, one.recovered || "This is resolved.")
        : [h("p", null, one.what), one.stops && h("p", null, one.stops), one.fix && h("p.quiet", null, one.fix)],
      h(
        "p.notice-foot",
        null,
        over ? badge("", "ok", "Resolved") : one.critical ? badge("bad", "warning", "Needs you now") : null,
        whenAgo(one.created_at),
        one.account_names.length > 0 && h("span", null, listed(one.account_names)),
        !over && one.expires_at && h("span", null, "Ends ", when(one.expires_at)),
        unread(one) &&
          h("button.plain", { type: "button", "data-action": "read", "data-id": one.notice_id }, "Mark as read"),
      ),
    ),
    h("div.item-action", null, url && fixButton({ url, label: one.button || "See it", quiet: Boolean(one.read_at) })),
  );
}

/** @param {string} id */
async function read(id) {
  const now = new Date().toISOString();
  resources.notices.expect((data) => ({
    ...data,
    items: data.items.map((/** @type {Notice} */ one) =>
      one.notice_id === id ? { ...one, read_at: one.read_at ?? now } : one,
    ),
  }));
  await post(`/api/v1/notices/${id}/read`);
}

/** @type {import("../app.js").Page} */
export default {
  path: "/notices",
  heading: "Notices",
  icon: "bell",
  reads: ["notices"],
  show,
  actions: {
    async read(id) {
      await read(id);
      await resources.notices.read();
    },
    async readAll() {
      const waiting = resources.notices.data?.items.filter(unread) ?? [];
      await Promise.allSettled(waiting.map((one) => read(one.notice_id)));
      await resources.notices.read();
    },
    older: () => resources.notices.more(MORE),
  },
};
