// Who is in the workspace, where they are signed in, and signing them out. Wevion's support finds people in every
// workspace, and acts as them.

/** @import { Listed, Member } from "../../../../../types/api" */

import { get, post, put, remove } from "../api.js";
import { asked } from "../asking.js";
import { h } from "../dom.js";
import { looking } from "../looking.js";
import { empty, pageHead, reading } from "../parts.js";
import { resources } from "../resources.js";
import { toast } from "../telling.js";
import { count } from "../words.js";
import { card, ownWorkspace, roleField, supports } from "./member-card.js";

const MOST_SESSIONS = 100;

function show() {
  const workspace = supports() ? looking.members.only : { id: resources.me.data?.workspace_id, name: ownWorkspace() };
  return [
    pageHead(
      supports() ? (looking.members.only ? `People of ${looking.members.only.name}` : "People") : "Members",
      supports()
        ? "Everybody in every workspace. What you do here is recorded, and the workspace's admins can read it."
        : "Who belongs to this workspace, and where they are signed in. Signing somebody out holds everywhere at once.",
      !supports() &&
        h("button.button.primary", { type: "button", "data-action": "add", "data-key": "add" }, "Invite a person"),
      workspace &&
        h(
          "button.button",
          {
            type: "button",
            "data-action": "everybody",
            "data-id": workspace.id,
            "data-key": "everybody",
            "data-confirm":
              `End every session in ${workspace.name}${supports() ? "" : ", yours too"}? ` +
              `Everybody has to sign in again.`,
            "data-confirm-label": "Sign everybody out",
          },
          "Sign everybody out",
        ),
    ),
    h(
      "form.form-row.find",
      { "data-action": "find", "data-key": "find", role: "search" },
      h(
        "label.field.grow",
        null,
        h("span.unseen", null, "Name or address"),
        h("input", {
          type: "search",
          name: "search",
          value: looking.members.search,
          maxlength: 100,
          placeholder: "Name or address",
        }),
      ),
      h("button.button", { type: "submit" }, "Find"),
      looking.members.only && h("button.plain", { type: "button", "data-action": "everywhere" }, "All workspaces"),
    ),
    reading(resources.members, list, supports() ? "people" : "members"),
  ];
}

/** @param {Listed<Member>} data */
function list({ items, more }) {
  if (!items.length)
    return empty(
      "people",
      "Nobody was found",
      h(
        "p.quiet",
        null,
        looking.members.search
          ? `No name and no address has “${looking.members.search}” in it.`
          : "There is nobody here yet.",
      ),
    );
  const sorted = items.toSorted(
    (/** @type {Member} */ one, /** @type {Member} */ other) =>
      one.name.localeCompare(other.name) || one.workspace_name.localeCompare(other.workspace_name),
  );
  return [
    h("div.stack", { "data-key": "members" }, sorted.map(card)),
    more && h("p", { "data-key": "more" }, h("button.button", { type: "button", "data-action": "more" }, "Show more")),
  ];
}

function aim() {
  const query = new URLSearchParams();
  if (looking.members.search) query.set("search", looking.members.search);
  if (looking.members.only) query.set("workspace_id", looking.members.only.id);
  return resources.members.aim(`/api/v1/admin/users${query.size ? `?${query}` : ""}`);
}

/** @param {string} userId */
async function readSessions(userId) {
  looking.members.shown.set(
    userId,
    (await get(`/api/v1/admin/sessions?user_id=${userId}&limit=${MOST_SESSIONS}`)).items,
  );
}

/** @param {string} userId */
const nameOf = (userId) =>
  resources.members.data?.items.find((/** @type {Member} */ one) => one.user_id === userId)?.name ?? "They";

/** @type {import("../app.js").Page} */
export default {
  path: "/admin/members",
  heading: "Members",
  icon: "people",
  reads: ["members"],
  may: ({ role, acting_admin_user_id: acting }) => role !== "member" && !acting,
  show,
  actions: {
    async find(_, form) {
      looking.members.search = String(new FormData(/** @type {HTMLFormElement} */ (form)).get("search") ?? "").trim();
      await aim();
    },
    async only(id, button) {
      looking.members.only = { id, name: button.textContent ?? "" };
      await aim();
    },
    async everywhere() {
      looking.members.only = null;
      await aim();
    },
    more: () => resources.members.more(200),
    async sessions(userId) {
      if (!looking.members.shown.delete(userId)) await readSessions(userId);
    },
    async end(id, button) {
      await remove(`/api/v1/admin/sessions/${id}`);
      toast("ok", "The session has ended.");
      await readSessions(button.dataset.of ?? "");
    },
    async out(userId) {
      const { sessions_ended: ended } = await post(`/api/v1/admin/users/${userId}/force-logout`);
      toast(
        "ok",
        ended
          ? `${nameOf(userId)} is signed out: ${count(ended, "session")} ended.`
          : `${nameOf(userId)} was not signed in.`,
      );
      if (looking.members.shown.has(userId)) await readSessions(userId);
    },
    async everybody(id) {
      const { sessions_ended: ended } = await post(`/api/v1/admin/workspaces/${id}/force-logout`);
      toast("ok", `${count(ended, "session")} ended.`);
      looking.members.shown.clear();
    },
    async add() {
      const done = await asked(
        {
          heading: "Invite a person",
          words: "They get a mail, and are a member once they accept. The invitation is good for seven days.",
          fields: [
            h(
              "label.field",
              null,
              h("span", null, "Email address"),
              h("input", {
                type: "email",
                name: "email",
                required: true,
                maxlength: 254,
                autocomplete: "off",
                autofocus: true,
              }),
            ),
            roleField("member"),
          ],
          yes: "Invite",
        },
        async (fields) => {
          await post("/api/v1/admin/users", { email: fields.get("email"), role: fields.get("role") });
        },
      );
      if (!done) return;
      toast("ok", "The invitation is on its way. They are listed here once they accept.");
    },
    async role(userId) {
      const one = resources.members.data?.items.find((other) => other.user_id === userId);
      if (!one) return;
      const done = await asked(
        {
          heading: `The role of ${one.name}`,
          words: "Their sessions in this workspace end: what they may do changes.",
          fields: [roleField(one.role)],
          yes: "Change it",
        },
        async (fields) => {
          await put(`/api/v1/admin/users/${userId}/role`, { role: fields.get("role") });
        },
      );
      if (!done) return;
      looking.members.shown.delete(userId);
      await resources.members.read();
    },
    async drop(userId) {
      await remove(`/api/v1/admin/users/${userId}`);
      looking.members.shown.delete(userId);
      await resources.members.read();
    },
    async disable(userId) {
      await post(`/api/v1/admin/users/${userId}/disable`);
      looking.members.shown.delete(userId);
      await resources.members.read();
    },
    async enable(userId) {
      await post(`/api/v1/admin/users/${userId}/enable`);
      await resources.members.read();
    },
    async act(userId, button) {
      const done = await asked(
        {
          heading: `Act as ${nameOf(userId)}`,
          words:
            "For an hour at most. Your own session ends with it; afterwards you sign in again. The user and " +
            "the workspace's admins see that it happened, and the reason.",
          fields: [
            h(
              "label.field",
              null,
              h("span", null, "Reason"),
              h("textarea", {
                name: "reason",
                rows: 3,
                required: true,
                minlength: 10,
                maxlength: 500,
                autofocus: true,
              }),
              h("small", null, "In words that the user may read; at least ten characters."),
            ),
            h(
              "label.field",
              null,
              h("span", null, "Ticket ", h("small", null, "(if there is one)")),
              h("input", { type: "text", name: "ticket", maxlength: 100 }),
            ),
          ],
          yes: "Act as this user",
        },
        async (fields) => {
          const ticket = String(fields.get("ticket") ?? "").trim();
          await post("/api/v1/admin/impersonations", {
            user_id: userId,
            workspace_id: button.dataset.workspace,
            reason: String(fields.get("reason") ?? ""),
            ...(ticket && { ticket }),
          });
        },
      );
      if (done) location.assign("/connections"); // with the cookie of the other session: nothing of this one stays
    },
  },
};
