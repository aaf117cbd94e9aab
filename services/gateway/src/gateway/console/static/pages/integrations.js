// Stripe and Google Drive. Admins and owners connect them; members see how they are and whom to ask.

/** @import { Integration, Integrations } from "../../../../../types/api" */

import { post, remove } from "../api.js";
import { h } from "../dom.js";
import { badge, empty, mark, pageHead, reading, says } from "../parts.js";
import { resources } from "../resources.js";
import { toast } from "../telling.js";
import { listed, title } from "../words.js";
import { arrival } from "./arrival.js";
import { connectionCard } from "./connection-card.js";

const HERE = "/settings/integrations";

/** @type {Record<string, string>} */
const USES = {
  stripe: "Revenue beside your ad spend.",
  "google-drive": "Reports and creatives to and from your folders.",
};

const mayManage = () =>
  ["owner", "admin"].includes(resources.me.data?.role ?? "") && !resources.me.data?.acting_admin_user_id;

function show() {
  return [
    pageHead("Integrations", "Services that belong to the whole workspace."),
    arrival(),
    resources.me.data && !mayManage() && whomToAsk(),
    reading(resources.integrations, list, "integrations"),
  ];
}

function whomToAsk() {
  const acting = resources.me.data?.acting_admin_user_id;
  if (acting)
    return h(
      "div.said",
      { "data-key": "ask" },
      says("hold", "warning", h("p", null, "Integrations cannot be changed while support acts as this user.")),
    );
  const people = resources.people.data?.items ?? [];
  const able = people.filter((one) => ["owner", "admin"].includes(one.role)).map((one) => `${one.name} (${one.role})`);
  const whom = able.length ? listed(able, 5) : "an admin or the owner of the workspace";
  return h(
    "div.said",
    { "data-key": "ask" },
    says(
      "",
      "warning",
      h("p", null, `Only admins and the owner can connect or re-authorise an integration. Ask ${whom}.`),
    ),
  );
}

/** @param {Integrations} data */
function list({ items }) {
  if (!items.length)
    return empty("plug", "No integrations", h("p.quiet", null, "None is set up for this installation of Wevion."));
  return h("div.stack", { "data-key": "integrations" }, items.map(card));
}

/** @param {Integration} one */
function card(one) {
  if (one.connection) return connectionCard(one.connection, { returnTo: HERE, mayFix: mayManage() });
  return h(
    "article.card",
    { "data-key": one.provider },
    h(
      "div.item",
      null,
      mark(one.provider),
      h(
        "div.item-words",
        null,
        h("div.item-title", null, h("h2", null, one.title ?? title(one.provider)), badge("", "plug", "Not connected")),
        h("p.quiet", null, USES[one.provider] ?? ""),
      ),
      h(
        "div.item-action",
        null,
        mayManage() &&
          h(
            "a.button.primary",
            { href: `/connect/${one.provider}?return_to=${HERE}` },
            `Connect ${one.title ?? title(one.provider)}`,
          ),
      ),
    ),
  );
}

/** @type {import("../app.js").Page} */
export default {
  path: HERE,
  heading: "Integrations",
  icon: "plug",
  reads: ["integrations", "people"],
  show,
  actions: {
    async disconnect(id) {
      await remove(`/api/v1/connections/${id}`);
      resources.integrations.read();
    },
    async verify(id) {
      const { verified, explanation } = await post(`/api/v1/accounts/${id}/verify`);
      toast(verified ? "ok" : "warning", explanation);
      resources.integrations.read();
    },
  },
};
