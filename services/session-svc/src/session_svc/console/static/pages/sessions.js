// Where this person is signed in, and when support acted as them.

import { remove } from "../api.js";
import { h, icon } from "../dom.js";
import { badge, pageHead, reading, says, when, whenAgo } from "../parts.js";
import { resources } from "../resources.js";
import { toast } from "../telling.js";
import { count, lastUsed } from "../words.js";

const acting = () => Boolean(resources.me.data?.acting_admin_user_id);

function show() {
  const others = (resources.sessions.data?.items ?? []).filter((/** @type {any} */ one) => !one.current).length;
  return [
    pageHead(
      "Where you are signed in",
      "A session ends after seven days without use. Ending one here signs that browser out at once.",
      others > 0 && !acting() && h("button.button", { type: "button", "data-action": "endOthers", "data-confirm": `End ${others === 1 ? "the other session" : `all ${others} other sessions`}?`, "data-confirm-label": "End" }, "End all others"),
    ),
    reading(resources.sessions, list, "sessions"),
  ];
}

/** @param {any} data */
function list({ items, support_access: support }) {
  return [
    h("div.stack", { "data-key": "sessions" }, items.map(card)),
    support?.length > 0 &&
      h(
        "section.section",
        { "data-key": "support" },
        h("h2", null, "Support acted as you"),
        h("div.stack", null, support.map((/** @type {any} */ one) => says("hold", "warning", h("p", null, `${one.by_name}: ${one.reason}${one.ticket ? ` (${one.ticket})` : ""}`), h("p.quiet.small", null, when(one.started_at))))),
      ),
  ];
}

/** @param {any} one */
function card(one) {
  return h(
    "article.card",
    { "data-key": one.session_id },
    h(
      "div.item",
      null,
      h("div.mark", null, icon(one.support ? "warning" : "devices")),
      h(
        "div.item-words",
        null,
        h("div.item-title", null, h("h2", null, one.device || "A browser"), one.current && badge("good", "ok", "This browser"), one.support && badge("hold", "warning", "Support acts as you")),
        h("dl.facts", null, h("div", null, h("dt", null, "From"), h("dd", null, one.address)), h("div", null, h("dt", null, "Signed in"), h("dd", null, whenAgo(one.created_at))), h("div", null, h("dt", null, "Last used"), h("dd", null, lastUsed(one))), h("div", null, h("dt", null, one.support ? "Ends" : "Ends, unless used"), h("dd", null, when(one.expires_at)))),
      ),
      h("div.item-action", null, !one.current && !acting() && h("button.button", { type: "button", "data-action": "end", "data-id": one.session_id }, "End")),
    ),
  );
}

/** @type {import("../app.js").Page} */
export default {
  path: "/settings/sessions",
  heading: "Sessions",
  icon: "devices",
  reads: ["sessions"],
  show,
  actions: {
    async end(id) {
      await remove(`/api/v1/auth/sessions/${id}`);
      await resources.sessions.read();
    },
    async endOthers() {
      const { sessions_ended: ended } = await remove("/api/v1/auth/sessions");
      toast("ok", `${count(ended, "session")} ended.`);
      await resources.sessions.read();
    },
  },
};
