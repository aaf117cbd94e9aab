// Who did what, as whom, from where and why. Reading it is recorded in it, so it is read when somebody looks, not by
// itself.

/** @import { AuditEntry, Listed } from "../../../../../types/api" */

import { h } from "../dom.js";
import { badge, empty, pageHead, reading, whenShort } from "../parts.js";
import { resources } from "../resources.js";
import { count, sentence } from "../words.js";

function show() {
  const all = resources.me.data?.role === "support_admin";
  return [
    pageHead(
      "Audit log",
      `What people and programs did ${all ? "in every workspace" : "in this workspace"}, newest first. It ` +
        `cannot be changed, and reading it is recorded too.`,
      h("button.button", { type: "button", "data-action": "again", "data-id": "audit" }, "Read again"),
    ),
    reading(resources.audit, list, "audit log"),
  ];
}

/** @param {Listed<AuditEntry>} data */
function list({ items, more }) {
  if (!items.length)
    return empty(
      "log",
      "Nothing has happened yet",
      h(
        "p.quiet",
        null,
        "Sign-ins, forced logouts, changes of roles and passwords, and what support does appear here.",
      ),
    );
  return [
    h(
      "div.card",
      { "data-key": "audit" },
      h(
        "table.table.stacks",
        null,
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            ["When", "Who", "What", "From"].map((word) => h("th", { scope: "col" }, word)),
          ),
        ),
        h("tbody", null, items.map(row)),
      ),
    ),
    more &&
      h("p", { "data-key": "more" }, h("button.button", { type: "button", "data-action": "older" }, "Show older ones")),
  ];
}

/** @param {AuditEntry} one */
function row(one) {
  return h(
    "tr",
    { "data-key": one.audit_id },
    h("td", null, whenShort(one.at)),
    h(
      "td",
      { "data-label": "Who" },
      h("span.strong", null, who(one)),
      one.as_name && [" ", badge("hold", "warning", `as ${one.as_name}`)],
    ),
    h(
      "td",
      { "data-label": "What" },
      happened(one),
      one.reason &&
        h("p.quiet.small", null, `Reason: ${one.reason}${one.details.ticket ? ` (${one.details.ticket})` : ""}`),
    ),
    h("td.place", { "data-label": "From" }, h("span.small.breaks", null, one.address ?? "—")),
  );
}

/** What strangers may ask for, and what is done on the server itself, has no name. @param {AuditEntry} one */
const who = (one) =>
  one.actor_name ??
  one.client_id ??
  (["sign_in_refused", "password_reset_requested"].includes(one.action) ? "Somebody" : "Wevion");

/** @param {AuditEntry} one */
function happened(one) {
  const whom = one.target_name ?? "somebody";
  const { sessions, ended, from, to } = one.details;
  switch (one.action) {
    case "signed_in":
      return "Signed in.";
    case "sign_in_refused":
      return one.target_name ? `A sign-in as ${whom} was refused.` : "A sign-in was refused.";
    case "signed_out":
      return "Signed out.";
    case "signed_out_everywhere":
      return ended ? `Ended their other sessions (${ended}).` : "Signed out everywhere.";
    case "session_ended":
      return "Ended one of their sessions.";
    case "session_forced_out":
      return `Ended a session of ${whom}.`;
    case "user_forced_out":
      return `Signed ${whom} out everywhere (${count(Number(sessions), "session")}).`;
    case "workspace_forced_out":
      return `Signed everybody in the workspace out (${count(Number(sessions), "session")}).`;
    case "workspace_switched":
      return "Went on in another workspace.";
    case "password_changed":
      return "Changed their password.";
    case "password_reset_requested":
      return "A password reset was asked for.";
    case "password_reset":
      return "Set a new password by a mailed link.";
    case "impersonation_started":
      return "Began to act as this user.";
    case "impersonation_ended":
      return "Stopped acting as this user.";
    case "user_created":
      return to ? `Invited ${whom} as ${to}.` : `The account of ${whom} was made.`;
    case "user_disabled":
      return `Disabled the account of ${whom}.`;
    case "user_enabled":
      return `Enabled the account of ${whom}.`;
    case "membership_changed":
      return from ? `Changed the role of ${whom} from ${from} to ${to}.` : `Added ${whom} as ${to}.`;
    case "membership_removed":
      return `Removed ${whom} from the workspace.`;
    case "workspace_created":
      return "The workspace was made.";
    case "audit_read":
      return "Read the audit log.";
    default:
      return `${sentence(one.action.replaceAll("_", " "))}.`;
  }
}

/** @type {import("../app.js").Page} */
export default {
  path: "/admin/audit",
  heading: "Audit log",
  icon: "log",
  reads: ["audit"],
  may: ({ role, acting_admin_user_id: acting }) => role !== "member" && !acting,
  show,
  actions: { older: () => resources.audit.more(100) },
};
