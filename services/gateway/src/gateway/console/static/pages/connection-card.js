// One connection, with all that one needs to know about it, and one button.

/** @import { Account, Connection, MissingScope } from "../../../../../types/api" */

import { h } from "../dom.js";
import { badge, fixButton, mark, says, statusBadge, when, whenAgo } from "../parts.js";
import { fixLink } from "../paths.js";
import { personName } from "../people.js";
import { count, detectedWords, span, title } from "../words.js";

const SHOWN_ACCOUNTS = 4;

/** @param {Connection} one @param {{returnTo?: string, mayFix?: boolean}} [options] */
export function connectionCard(one, { returnTo = "/connections", mayFix = true } = {}) {
  const dead = ["expired", "revoked"].includes(one.status);
  const tone = dead ? "needs" : one.status === "expiring" ? "soon" : "";
  const fix = mayFix && fixOf(one, returnTo);
  return h(
    "article.card",
    {
      class: tone,
      "data-key": one.connection_id,
      "data-status": one.status,
      "aria-labelledby": `name-${one.connection_id}`,
    },
    h(
      "div.item",
      null,
      mark(one.provider),
      h(
        "div.item-words",
        null,
        h(
          "div.item-title",
          null,
          h(
            "h2",
            { id: `name-${one.connection_id}` },
            one.title ?? title(one.provider),
            one.subject_name && h("span.quiet", null, ` ${one.subject_name}`),
          ),
          statusBadge(one.status),
        ),
        h("p", null, situation(one)),
      ),
      h("div.item-action", null, fix && fixButton(fix)),
      h("div.item-more", null, missing(one), facts(one, mayFix), accounts(one)),
    ),
  );
}

/** The one button. @param {Connection} one @param {string} returnTo */
function fixOf(one, returnTo) {
  const url = fixLink(one.fix_url, returnTo);
  return (
    url && {
      url,
      label: one.fix_label ?? (one.missing.length ? "Grant what is missing" : `Re-authorise ${title(one.provider)}`),
    }
  );
}

/** What is the matter, in a sentence or two. @param {Connection} one */
function situation(one) {
  const name = one.title ?? title(one.provider);
  const left = one.expires_at ? (Date.parse(one.expires_at) - Date.now()) / 1000 : Infinity;
  switch (one.status) {
    case "revoked": {
      const found = detectedWords(one.detected_by, name);
      return [
        one.summary,
        " ",
        found ? `${found[0].toUpperCase()}${found.slice(1)} ` : "Since ",
        whenAgo(one.since),
        ". Syncing and publishing have stopped.",
      ];
    }
    case "expired":
      return ["It reached its end on ", when(one.expires_at ?? one.since), ". Syncing and publishing have stopped."];
    case "degraded":
      return ["Refreshes fail for now and are tried again by themselves. Nothing to do."];
    case "expiring":
      return ["Ends in ", h("strong", null, span(left)), ", on ", when(one.expires_at ?? one.since), "."];
    default:
      return one.expires_at
        ? ["Ends in ", span(left), ", on ", when(one.expires_at), "."]
        : [`Works until somebody ends it: ${name} sets no date.`];
  }
}

/** What the consent did not cover. @param {Connection} one */
function missing(one) {
  if (!one.missing.length) return null;
  return says(
    "warn",
    "warning",
    h("p.strong", null, `${count(one.missing.length, "permission")} missing. The rest goes on.`),
    h(
      "ul",
      null,
      one.missing.map((/** @type {MissingScope} */ part) =>
        h(
          "li",
          { "data-key": part.scope },
          part.effect !== part.scope &&
            `${part.effect} ${part.effect.includes(" and ") || part.effect.endsWith("s") ? "do" : "does"} ` +
              `not work without `,
          h("code", null, part.scope),
        ),
      ),
    ),
  );
}

/** @param {Connection} one @param {boolean} mayFix */
function facts(one, mayFix) {
  return h(
    "dl.facts",
    null,
    fact("Connected by", personName(one.owner_user_id)),
    fact("Authorised", whenAgo(one.authorized_at)),
    one.last_refreshed_at && fact("Refreshed", whenAgo(one.last_refreshed_at)),
    mayFix && one.status !== "revoked" && h("div.facts-end", null, disconnectButton(one)),
  );
}

/** @param {string} term @param {import("../dom.js").Child} value */
const fact = (term, value) => h("div", null, h("dt", null, term), h("dd", null, value));

/** Those without access are always seen; many others are folded away. @param {Connection} one */
function accounts(one) {
  const all = one.accounts.toSorted((/** @type {Account} */ a, /** @type {Account} */ b) =>
    a.name.localeCompare(b.name),
  );
  if (!all.length) return null;
  const lost = all.filter((/** @type {Account} */ account) => account.access === "lost");
  const rest = all.filter((/** @type {Account} */ account) => account.access !== "lost");
  const line = (/** @type {Account} */ account) => accountLine(account, one.status);
  const folded = rest.length > SHOWN_ACCOUNTS;
  return h(
    "div.accounts",
    { "data-key": "accounts" },
    h("ul", { "data-key": "shown" }, lost.map(line), !folded && rest.map(line)),
    folded &&
      h(
        "details",
        { "data-key": "folded" },
        h("summary", null, `${lost.length ? "Other " : "All "}${count(rest.length, "account")}`),
        h("ul", null, rest.map(line)),
      ),
  );
}

/**
 * Full expiry is the grant's, so an account is as its connection is, unless access to it alone was lost.
 * @param {Account} account @param {string} status
 */
function accountLine(account, status) {
  const lost = account.access === "lost";
  return h(
    "li",
    { "data-key": account.account_id, "data-access": account.access },
    h("div.account-name", null, h("span", null, account.name), h("code.quiet", null, account.external_id)),
    account.verified_at &&
      !lost &&
      h("span.quiet.small.account-checked", null, "checked ", whenAgo(account.verified_at)),
    lost ? badge("bad", "ended", "No access") : statusBadge(status),
    lost &&
      h(
        "p.account-note",
        null,
        "Access to this account was removed at the platform ",
        whenAgo(account.since),
        ". Ask its owner there to give it back. ",
        h("button.plain", { type: "button", "data-action": "verify", "data-id": account.account_id }, "Check again"),
      ),
  );
}

/** @param {Connection} one */
function disconnectButton(one) {
  const name = (one.title ?? title(one.provider)) + (one.subject_name ? ` (${one.subject_name})` : "");
  const question =
    `Disconnect ${name}? Syncing, publishing and rules on its ` +
    `${count(one.accounts.length, "account")} stop at once.`;
  return h(
    "button.plain.quiet",
    {
      type: "button",
      "data-action": "disconnect",
      "data-id": one.connection_id,
      "data-confirm": question,
      "data-confirm-label": "Disconnect",
    },
    "Disconnect",
  );
}
