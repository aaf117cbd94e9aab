// Where this person is signed in, and when support acted as them.

/** @import { OwnSession, OwnSessions } from "../../../../../types/api" */

import { Problem, post, remove } from "../api.js";
import { asked } from "../asking.js";
import { h, icon } from "../dom.js";
import { badge, pageHead, reading, says, when, whenAgo } from "../parts.js";
import { resources } from "../resources.js";
import { toast } from "../telling.js";
import { count, lastUsed } from "../words.js";

const acting = () => Boolean(resources.me.data?.acting_admin_user_id);

function show() {
  const others = (resources.sessions.data?.items ?? []).filter((/** @type {OwnSession} */ one) => !one.current).length;
  return [
    pageHead(
      "Where you are signed in",
      "A session ends after seven days without use. Ending one here signs that browser out at once.",
      !acting() &&
        h(
          "button.button",
          { type: "button", "data-action": "password", "data-key": "password" },
          "Change the password",
        ),
      others > 0 &&
        !acting() &&
        h(
          "button.button",
          {
            type: "button",
            "data-action": "endOthers",
            "data-key": "endOthers",
            "data-confirm": `End ${others === 1 ? "the other session" : `all ${others} other sessions`}?`,
            "data-confirm-label": "End",
          },
          "End all others",
        ),
    ),
    reading(resources.sessions, list, "sessions"),
  ];
}

/** @param {OwnSessions} data */
function list({ items, support_access: support }) {
  return [
    h("div.stack", { "data-key": "sessions" }, items.map(card)),
    support?.length > 0 &&
      h(
        "section.section",
        { "data-key": "support" },
        h("h2", null, "Support acted as you"),
        h(
          "div.stack",
          null,
          support.map((one) =>
            says(
              "hold",
              "warning",
              h("p", null, `${one.by_name}: ${one.reason}${one.ticket ? ` (${one.ticket})` : ""}`),
              h("p.quiet.small", null, when(one.started_at)),
            ),
          ),
        ),
      ),
  ];
}

/** @param {OwnSession} one */
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
        h(
          "div.item-title",
          null,
          h("h2", null, one.device || "A browser"),
          one.current && badge("good", "ok", "This browser"),
          one.support && badge("hold", "warning", "Support acts as you"),
        ),
        h(
          "dl.facts",
          null,
          h("div", null, h("dt", null, "From"), h("dd", null, one.address)),
          h("div", null, h("dt", null, "Signed in"), h("dd", null, whenAgo(one.created_at))),
          h("div", null, h("dt", null, "Last used"), h("dd", null, lastUsed(one))),
          h(
            "div",
            null,
            h("dt", null, one.support ? "Ends" : "Ends, unless used"),
            h("dd", null, when(one.expires_at)),
          ),
        ),
      ),
      h(
        "div.item-action",
        null,
        !one.current &&
          !acting() &&
          h("button.button", { type: "button", "data-action": "end", "data-id": one.session_id }, "End"),
      ),
    ),
  );
}

/** @param {FormData} fields */
async function changePassword(fields) {
  try {
    await post("/api/v1/auth/password", { current_password: fields.get("current"), new_password: fields.get("new") });
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== "wrong_credentials") throw error;
    throw new Problem({
      status: error.status,
      code: error.code,
      title: "The present password is another one",
      fix: "Check it, or sign out and have a link mailed.",
    });
  }
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
    async password() {
      const done = await asked(
        {
          heading: "Change the password",
          words: "Every other session of yours ends with it, on every device.",
          fields: [
            h(
              "label.field",
              null,
              h("span", null, "Present password"),
              h("input", {
                type: "password",
                name: "current",
                required: true,
                maxlength: 256,
                autocomplete: "current-password",
                autofocus: true,
              }),
            ),
            h(
              "label.field",
              null,
              h("span", null, "New password"),
              h("input", {
                type: "password",
                name: "new",
                required: true,
                maxlength: 256,
                autocomplete: "new-password",
              }),
              h("small", null, "At least 12 characters; a few words that only you would put together are best."),
            ),
          ],
          yes: "Change it",
        },
        changePassword,
      );
      if (!done) return;
      toast("ok", "The password is changed. Every other session has ended.");
      await resources.sessions.read();
    },
    async endOthers() {
      const { sessions_ended: ended } = await remove("/api/v1/auth/sessions");
      toast("ok", `${count(ended, "session")} ended.`);
      await resources.sessions.read();
    },
  },
};
