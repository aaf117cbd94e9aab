// A person of a workspace: who they are, where they are signed in, and what may be done about it.

/** @import { Member, MemberSession } from "../../../../../types/api" */

import { h } from "../dom.js";
import { looking } from "../looking.js";
import { badge, when, whenAgo } from "../parts.js";
import { resources } from "../resources.js";
import { lastUsed, roleWord } from "../words.js";

const me = () => resources.me.data;
export const supports = () => me()?.role === "support_admin";

/** @type {Record<string, number>} */
const RANK = { member: 0, admin: 1, owner: 2, support_admin: 3 };
/** Whether the server would let this person sign that one out. @param {Member} one */
const mayEnd = (one) => RANK[me()?.role ?? ""] >= RANK[one.support_admin ? "support_admin" : one.role];

export const ownWorkspace = () =>
  me()?.workspaces.find((one) => one.workspace_id === me()?.workspace_id)?.name ?? "this workspace";

/** @param {Member} one */
export function card(one) {
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
          supports() &&
            h(
              "div",
              null,
              h("dt", null, "Workspace"),
              h(
                "dd",
                null,
                looking.members.only
                  ? one.workspace_name
                  : h(
                      "button.plain.flat",
                      { type: "button", "data-action": "only", "data-id": one.workspace_id },
                      one.workspace_name,
                    ),
              ),
            ),
        ),
        toggle(one),
      ),
      h("div.item-action", null, buttons(one, self)),
      h("div.item-more", null, sessions(one)),
    ),
  );
}

/** @param {Member} one @param {boolean} self */
function buttons(one, self) {
  const others = !self && mayEnd(one);
  return [
    supports() &&
      !one.support_admin &&
      !one.disabled &&
      h(
        "button.button.primary",
        {
          type: "button",
          "data-action": "act",
          "data-id": one.user_id,
          "data-workspace": one.workspace_id,
          "data-key": "act",
        },
        "Act as…",
      ),
    others &&
      h(
        "button.button",
        {
          type: "button",
          "data-action": "out",
          "data-id": one.user_id,
          "data-key": "out",
          "data-confirm": `End every session of ${one.name}, on every device?`,
          "data-confirm-label": "Sign out",
        },
        "Sign out everywhere",
      ),
    supports() && !one.support_admin && ability(one),
    !supports() &&
      others && [
        h(
          "button.plain.quiet",
          { type: "button", "data-action": "role", "data-id": one.user_id, "data-key": "role" },
          "Change the role",
        ),
        h(
          "button.plain.quiet",
          {
            type: "button",
            "data-action": "drop",
            "data-id": one.user_id,
            "data-key": "drop",
            "data-confirm":
              `Remove ${one.name} from ${ownWorkspace()}? What they connected stays; they ` + `cannot get in any more.`,
            "data-confirm-label": "Remove",
          },
          "Remove",
        ),
      ],
  ];
}

/** Nobody gives a role that ranks above their own. @param {string} selected */
export const roleField = (selected) =>
  h(
    "label.field",
    null,
    h("span", null, "Role"),
    h(
      "select",
      { name: "role" },
      ["member", "admin", "owner"]
        .filter((role) => RANK[role] <= RANK[me()?.role ?? ""])
        .map((role) => h("option", { value: role, selected: role === selected }, roleWord(role))),
    ),
    h(
      "small",
      null,
      "Members work with what is connected; admins and owners also manage integrations, members and sessions.",
    ),
  );

/** @param {Member} one */
function ability(one) {
  if (one.disabled)
    return h(
      "button.button",
      { type: "button", "data-action": "enable", "data-id": one.user_id, "data-key": "enable" },
      "Enable the account",
    );
  return h(
    "button.plain.quiet",
    {
      type: "button",
      "data-action": "disable",
      "data-id": one.user_id,
      "data-key": "disable",
      "data-confirm":
        `Disable the account of ${one.name}? Every session ends, and nobody signs in to it ` + `until it is enabled.`,
      "data-confirm-label": "Disable",
    },
    "Disable the account",
  );
}

/** @param {Member} one */
const listId = (one) => `sessions-${one.user_id}-${one.workspace_id}`;

/** @param {Member} one */
function toggle(one) {
  const open = looking.members.shown.has(one.user_id);
  return h(
    "button.plain.quiet.small.start",
    {
      type: "button",
      "data-action": "sessions",
      "data-id": one.user_id,
      "aria-expanded": String(open),
      "aria-controls": listId(one),
    },
    open ? "Hide sessions" : "Show sessions",
  );
}

/** @param {Member} one */
function sessions(one) {
  const found = looking.members.shown.get(one.user_id);
  if (!found) return null;
  if (!found.length)
    return h(
      "p.quiet.small",
      { id: listId(one) },
      supports() ? "Signed in nowhere." : "Not signed in to this workspace.",
    );
  return h(
    "ul.rows",
    { id: listId(one) },
    found.map((session) => row(session, one)),
  );
}

/** @param {MemberSession} session @param {Member} of the member */
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
      h(
        "p.quiet.small",
        null,
        `From ${session.address}. Signed in `,
        whenAgo(session.created_at),
        `, used ${lastUsed(session)}; ends `,
        when(session.expires_at),
        session.support ? "." : ", unless used.",
      ),
    ),
    !session.current &&
      mayEnd(of) &&
      h(
        "button.button",
        {
          type: "button",
          "data-action": "end",
          "data-id": session.session_id,
          "data-of": of.user_id,
          "aria-label": `End the session on ${session.device}`,
        },
        "End",
      ),
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
