// Who is in the workspace, where they are signed in, and signing them out. Wevion's support finds people in every
// workspace, and acts as them.

import { get, post, put, remove } from "../api.js";
import { asked } from "../asking.js";
import { h } from "../dom.js";
import { badge, empty, pageHead, reading, when, whenAgo } from "../parts.js";
import { resources } from "../resources.js";
import { toast } from "../telling.js";
import { count, lastUsed, roleWord } from "../words.js";

const MOST_SESSIONS = 100;

/** What is looked for, and (of support alone) the one workspace that is looked at. */
let search = "";
/** @type {{id: string, name: string} | null} */ let only = null;

/** Whose sessions are shown, with what they were at the last look. @type {Map<string, any[]>} */
const shown = new Map();

const me = () => resources.me.data;
const supports = () => me()?.role === "support_admin";

/** @type {Record<string, number>} */
const RANK = { member: 0, admin: 1, owner: 2, support_admin: 3 };
/** Whether the server would let this person sign that one out. @param {any} one */
const mayEnd = (one) => RANK[me()?.role] >= RANK[one.support_admin ? "support_admin" : one.role];

function show() {
  const workspace = supports() ? only : { id: me()?.workspace_id, name: ownWorkspace() };
  return [
    pageHead(
      supports() ? (only ? `People of ${only.name}` : "People") : "Members",
      supports() ? "Everybody in every workspace. What you do here is recorded, and the workspace's admins can read it." : "Who belongs to this workspace, and where they are signed in. Signing somebody out holds everywhere at once.",
      !supports() && h("button.button.primary", { type: "button", "data-action": "add", "data-key": "add" }, "Invite a person"),
      workspace &&
        h(
          "button.button",
          {
            type: "button",
            "data-action": "everybody",
            "data-id": workspace.id,
            "data-key": "everybody",
            "data-confirm": `End every session in ${workspace.name}${supports() ? "" : ", yours too"}? Everybody has to sign in again.`,
            "data-confirm-label": "Sign everybody out",
          },
          "Sign everybody out",
        ),
    ),
    h(
      "form.form-row.find",
      { "data-action": "find", "data-key": "find", role: "search" },
      h("label.field.grow", null, h("span.unseen", null, "Name or address"), h("input", { type: "search", name: "search", value: search, maxlength: 100, placeholder: "Name or address" })),
      h("button.button", { type: "submit" }, "Find"),
      only && h("button.plain", { type: "button", "data-action": "everywhere" }, "All workspaces"),
    ),
    reading(resources.members, list, supports() ? "people" : "members"),
  ];
}

const ownWorkspace = () => me()?.workspaces.find((/** @type {any} */ one) => one.workspace_id === me().workspace_id)?.name ?? "this workspace";

/** @param {any} data */
function list({ items, more }) {
  if (!items.length) return empty("people", "Nobody was found", h("p.quiet", null, search ? `No name and no address has “${search}” in it.` : "There is nobody here yet."));
  const sorted = items.toSorted((/** @type {any} */ one, /** @type {any} */ other) => one.name.localeCompare(other.name) || one.workspace_name.localeCompare(other.workspace_name));
  return [
    h("div.stack", { "data-key": "members" }, sorted.map(card)),
    more && h("p", { "data-key": "more" }, h("button.button", { type: "button", "data-action": "more" }, "Show more")),
  ];
}

/** @param {any} one */
function card(one) {
  const self = one.user_id === me()?.user_id;
  const key = `${one.user_id}:${one.workspace_id}`;
  return h(
    "article.card",
    { "data-key": key, "aria-labelledby": `name-${key}` },
    h(
      "div.item.member",
      null,
      h("div.mark", { "aria-hidden": "true" }, initials(one.name)),
      h(
        "div.item-words",
        null,
        h(
          "div.item-title",
          null,
          h("h2", { id: `name-${key}` }, one.name),
          one.support_admin ? badge("hold", "people", "Wevion support") : badge("", "people", roleWord(one.role)),
          self && badge("good", "ok", "You"),
          one.disabled && badge("bad", "ended", "Disabled"),
        ),
        h(
          "dl.facts",
          null,
          h("div", null, h("dt.unseen", null, "Address"), h("dd.breaks", null, one.email)),
          supports() && h("div", null, h("dt", null, "Workspace"), h("dd", null, only ? one.workspace_name : h("button.plain.flat", { type: "button", "data-action": "only", "data-id": one.workspace_id }, one.workspace_name))),
        ),
        toggle(one),
      ),
      h("div.item-action", null, buttons(one, self)),
      h("div.item-more", null, sessions(one)),
    ),
  );
}

/** @param {any} one @param {boolean} self */
function buttons(one, self) {
  const others = !self && mayEnd(one);
  return [
    supports() && !one.support_admin && !one.disabled && h("button.button.primary", { type: "button", "data-action": "act", "data-id": one.user_id, "data-workspace": one.workspace_id, "data-key": "act" }, "Act as…"),
    others &&
      h(
        "button.button",
        { type: "button", "data-action": "out", "data-id": one.user_id, "data-key": "out", "data-confirm": `End every session of ${one.name}, on every device?`, "data-confirm-label": "Sign out" },
        "Sign out everywhere",
      ),
    supports() && !one.support_admin && ability(one),
    !supports() && others && [
      h("button.plain.quiet", { type: "button", "data-action": "role", "data-id": one.user_id, "data-key": "role" }, "Change the role"),
      h(
        "button.plain.quiet",
        { type: "button", "data-action": "drop", "data-id": one.user_id, "data-key": "drop", "data-confirm": `Remove ${one.name} from ${ownWorkspace()}? What they connected stays; they cannot get in any more.`, "data-confirm-label": "Remove" },
        "Remove",
      ),
    ],
  ];
}

/** Nobody gives a role that ranks above their own. @param {string} selected */
const roleField = (selected) =>
  h(
    "label.field",
    null,
    h("span", null, "Role"),
    h("select", { name: "role" }, ["member", "admin", "owner"].filter((role) => RANK[role] <= RANK[me()?.role]).map((role) => h("option", { value: role, selected: role === selected }, roleWord(role)))),
    h("small", null, "Members work with what is connected; admins and owners also manage integrations, members and sessions."),
  );

/** @param {any} one */
function ability(one) {
  if (one.disabled) return h("button.button", { type: "button", "data-action": "enable", "data-id": one.user_id, "data-key": "enable" }, "Enable the account");
  return h(
    "button.plain.quiet",
    { type: "button", "data-action": "disable", "data-id": one.user_id, "data-key": "disable", "data-confirm": `Disable the account of ${one.name}? Every session ends, and nobody signs in to it until it is enabled.`, "data-confirm-label": "Disable" },
    "Disable the account",
  );
}

/** @param {any} one */
const listId = (one) => `sessions-${one.user_id}-${one.workspace_id}`;

/** @param {any} one */
function toggle(one) {
  const open = shown.has(one.user_id);
  return h(
    "button.plain.quiet.small.start",
    { type: "button", "data-action": "sessions", "data-id": one.user_id, "aria-expanded": String(open), "aria-controls": listId(one) },
    open ? "Hide sessions" : "Show sessions",
  );
}

/** @param {any} one */
function sessions(one) {
  const found = shown.get(one.user_id);
  if (!found) return null;
  if (!found.length) return h("p.quiet.small", { id: listId(one) }, supports() ? "Signed in nowhere." : "Not signed in to this workspace.");
  return h("ul.rows", { id: listId(one) }, found.map((session) => row(session, one)));
}

/** @param {any} session @param {any} of the member */
function row(session, of) {
  return h(
    "li.row",
    { "data-key": session.session_id },
    h(
      "div.row-words",
      null,
      h("span.strong", null, session.device || "A browser"),
      session.current && badge("good", "ok", "This browser"),
      session.support && badge("hold", "warning", "Wevion support acts"),
      h("p.quiet.small", null, `From ${session.address}. Signed in `, whenAgo(session.created_at), `, used ${lastUsed(session)}; ends `, when(session.expires_at), session.support ? "." : ", unless used."),
    ),
    !session.current && mayEnd(of) && h("button.button", { type: "button", "data-action": "end", "data-id": session.session_id, "data-of": of.user_id, "aria-label": `End the session on ${session.device}` }, "End"),
  );
}

/** @param {string} name */
const initials = (name) =>
  name
    .split(/\s+/u)
    .slice(0, 2)
    .map((word) => Array.from(word)[0] ?? "")
    .join("")
    .toUpperCase();

function aim() {
  const query = new URLSearchParams();
  if (search) query.set("search", search);
  if (only) query.set("workspace_id", only.id);
  return resources.members.aim(`/api/v1/admin/users${query.size ? `?${query}` : ""}`);
}

/** @param {string} userId */
async function readSessions(userId) {
  shown.set(userId, (await get(`/api/v1/admin/sessions?user_id=${userId}&limit=${MOST_SESSIONS}`)).items);
}

/** @param {string} userId */
const nameOf = (userId) => resources.members.data?.items.find((/** @type {any} */ one) => one.user_id === userId)?.name ?? "They";

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
      search = String(new FormData(/** @type {HTMLFormElement} */ (form)).get("search") ?? "").trim();
      await aim();
    },
    async only(id, button) {
      only = { id, name: button.textContent ?? "" };
      await aim();
    },
    async everywhere() {
      only = null;
      await aim();
    },
    more: () => resources.members.more(200),
    async sessions(userId) {
      if (!shown.delete(userId)) await readSessions(userId);
    },
    async end(id, button) {
      await remove(`/api/v1/admin/sessions/${id}`);
      toast("ok", "The session has ended.");
      await readSessions(button.dataset.of ?? "");
    },
    async out(userId) {
      const { sessions_ended: ended } = await post(`/api/v1/admin/users/${userId}/force-logout`);
      toast("ok", ended ? `${nameOf(userId)} is signed out: ${count(ended, "session")} ended.` : `${nameOf(userId)} was not signed in.`);
      if (shown.has(userId)) await readSessions(userId);
    },
    async everybody(id) {
      const { sessions_ended: ended } = await post(`/api/v1/admin/workspaces/${id}/force-logout`);
      toast("ok", `${count(ended, "session")} ended.`);
      shown.clear();
    },
    async add() {
      const done = await asked(
        {
          heading: "Invite a person",
          words: "They get a mail, and are a member once they accept. The invitation is good for seven days.",
          fields: [
            h("label.field", null, h("span", null, "Email address"), h("input", { type: "email", name: "email", required: true, maxlength: 254, autocomplete: "off", autofocus: true })),
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
      const one = resources.members.data.items.find((/** @type {any} */ other) => other.user_id === userId);
      const done = await asked(
        { heading: `The role of ${one.name}`, words: "Their sessions in this workspace end: what they may do changes.", fields: [roleField(one.role)], yes: "Change it" },
        async (fields) => {
          await put(`/api/v1/admin/users/${userId}/role`, { role: fields.get("role") });
        },
      );
      if (!done) return;
      shown.delete(userId);
      await resources.members.read();
    },
    async drop(userId) {
      await remove(`/api/v1/admin/users/${userId}`);
      shown.delete(userId);
      await resources.members.read();
    },
    async disable(userId) {
      await post(`/api/v1/admin/users/${userId}/disable`);
      shown.delete(userId);
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
          words: "For an hour at most. Your own session ends with it; afterwards you sign in again. The user and the workspace's admins see that it happened, and the reason.",
          fields: [
            h("label.field", null, h("span", null, "Reason"), h("textarea", { name: "reason", rows: 3, required: true, minlength: 10, maxlength: 500, autofocus: true }), h("small", null, "In words that the user may read; at least ten characters.")),
            h("label.field", null, h("span", null, "Ticket ", h("small", null, "(if there is one)")), h("input", { type: "text", name: "ticket", maxlength: 100 })),
          ],
          yes: "Act as this user",
        },
        async (fields) => {
          const ticket = String(fields.get("ticket") ?? "").trim();
          await post("/api/v1/admin/impersonations", { user_id: userId, workspace_id: button.dataset.workspace, reason: String(fields.get("reason") ?? ""), ...(ticket && { ticket }) });
        },
      );
      if (done) location.assign("/connections"); // with the cookie of the other session: nothing of this one stays
    },
  },
};
