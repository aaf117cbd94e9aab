// The ad platforms: each connection with its accounts, when it ends, and the one button that fixes it.

/** @import { Connection, Listed, Provider } from "../../../../../types/api" */

import { post, remove } from "../api.js";
import { h } from "../dom.js";
import { empty, mark, pageHead, reading, says } from "../parts.js";
import { resources } from "../resources.js";
import { toast } from "../telling.js";
import { count, title } from "../words.js";
import { arrival } from "./arrival.js";
import { connectionCard } from "./connection-card.js";

/** Whether a person has to do something about it. @param {Connection} connection */
export function needing(connection) {
  return ["expired", "revoked"].includes(connection.status) || lost(connection) > 0 || connection.missing.length > 0;
}

/** @param {Connection} connection */
const lost = (connection) => connection.accounts.filter((one) => one.access === "lost").length;

/** The worst first, then what ends first. @param {Connection} one */
function urgency(one) {
  const rank = ["expired", "revoked"].includes(one.status)
    ? 0
    : needing(one)
      ? 1
      : one.status === "expiring"
        ? 2
        : one.status === "degraded"
          ? 3
          : 4;
  return [rank, one.expires_at ? Date.parse(one.expires_at) : Infinity];
}

/** @param {Connection} one @param {Connection} other */
function byUrgency(one, other) {
  const [rank, end] = urgency(one);
  const [otherRank, otherEnd] = urgency(other);
  return rank - otherRank || (end === otherEnd ? 0 : end - otherEnd) || one.provider.localeCompare(other.provider);
}

/** @param {Listed<Connection>} data */
function summary({ items }) {
  if (!items.length) return "The ad platforms that Wevion works with for you.";
  const need = items.filter(needing).length;
  const accounts = items.reduce(
    (/** @type {number} */ sum, /** @type {Connection} */ one) => sum + one.accounts.length,
    0,
  );
  const all = `${count(items.length, "connection")} with ${count(accounts, "account")}`;
  return need ? `${all}. ${need} ${need === 1 ? "needs" : "need"} you.` : `${all}. Nothing needs you.`;
}

/** Consent is the person's own: nobody who acts as them may give or end it. */
const acting = () => Boolean(resources.me.data?.acting_admin_user_id);

function show() {
  const { connections, providers } = resources;
  return [
    pageHead(
      "Connections",
      connections.data ? summary(connections.data) : "The ad platforms that Wevion works with for you.",
    ),
    arrival(),
    reading(connections, list, "connections"),
    providers.data && !acting() && add(providers.data.items),
  ];
}

/** @param {Listed<Connection>} data */
function list({ items, more }) {
  if (!items.length) {
    return empty(
      "link",
      "Nothing is connected yet",
      h(
        "p.quiet",
        null,
        "Connect a platform below: it opens the platform's own consent screen, and you choose what Wevion may see.",
      ),
    );
  }
  return [
    h(
      "div.stack",
      { "data-key": "connections" },
      items.toSorted(byUrgency).map((/** @type {Connection} */ one) => connectionCard(one, { mayFix: !acting() })),
    ),
    more && says("", "warning", h("p", null, `Only the first ${items.length} are shown.`)),
  ];
}

/** @param {Provider[]} providers */
function add(providers) {
  const platforms = providers.filter((one) => one.kind === "platform_oauth");
  return h(
    "section.section",
    { "data-key": "add" },
    h("h2", null, "Connect a platform"),
    h(
      "div.tiles",
      null,
      platforms.map((one) =>
        h(
          "a.card.tile",
          { href: `/connect/${one.provider}?return_to=/connections`, "data-key": one.provider },
          mark(one.provider),
          one.title ?? title(one.provider),
          h("span.plus", null, "Connect"),
        ),
      ),
    ),
  );
}

/** @type {import("../app.js").Page} */
export default {
  path: "/connections",
  heading: "Connections",
  icon: "link",
  reads: ["connections", "providers", "people"],
  show,
  actions: {
    async disconnect(id) {
      await remove(`/api/v1/connections/${id}`);
      resources.connections.read();
    },
    async verify(id) {
      const { verified, explanation } = await post(`/api/v1/accounts/${id}/verify`);
      toast(verified ? "ok" : "warning", explanation);
      resources.connections.read();
    },
  },
};
