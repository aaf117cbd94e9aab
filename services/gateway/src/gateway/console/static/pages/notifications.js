// Where notices reach this person: email and Telegram by kind, quiet hours, and the Telegram link.

import { post, put, remove } from "../api.js";
import { h } from "../dom.js";
import { badge, mark, pageHead, reading, says, when, whenAgo } from "../parts.js";
import { resources } from "../resources.js";
import { zone } from "../words.js";

/** @type {[string, string][]} */
const CODES = [
  ["TOKEN_EXPIRING", "A connection ends soon"],
  ["TOKEN_EXPIRED", "A connection has expired"],
  ["TOKEN_REVOKED", "A connection was ended"],
  ["ACCOUNT_ACCESS_LOST", "Access to one account was lost"],
  ["PLATFORM_INCIDENT", "A platform has an incident"],
  ["RULES_PAUSED", "Rules were paused"],
  ["DATA_GAP", "Data could not be synced"],
  ["TELEGRAM_BROKEN", "The Telegram link is broken"],
];
const CHANNELS = ["email", "telegram"];

function show() {
  return [
    pageHead("Notifications", "In the app you always see every notice. Choose what else reaches you."),
    h("section", { "data-key": "telegram" }, reading(resources.telegram, telegram, "Telegram link")),
    h("section.section", { "data-key": "preferences" }, h("h2", null, "What reaches you, and where"), reading(resources.preferences, preferences, "preferences")),
  ];
}

// ——— Telegram ———

/** A link that was just made; the page is the only one to have it. @type {{url: string, expires_at: string} | null} */
let made = null;

/** @param {any} link */
function telegram(link) {
  const linked = link.state === "linked";
  const broken = link.state === "broken";
  if (linked) made = null;
  return h(
    "div.card",
    null,
    h(
      "div.item",
      null,
      mark("telegram"),
      h(
        "div.item-words",
        null,
        h("div.item-title", null, h("h2", null, "Telegram"), linked ? badge("good", "ok", "Connected") : broken ? badge("bad", "ended", "Broken") : made ? badge("hold", "clock", "Waiting for you") : badge("", "plug", "Not connected")),
        h("p", null, words(link)),
      ),
      h(
        "div.item-action",
        null,
        linked
          ? h("button.button", { type: "button", "data-action": "unlink", "data-confirm": "Disconnect Telegram? Notices reach you by email and in the app.", "data-confirm-label": "Disconnect" }, "Disconnect")
          : made
            ? h("a.button.primary", { href: made.url, target: "_blank", rel: "noopener noreferrer" }, "Open Telegram")
            : h("button.button.primary", { type: "button", "data-action": "link" }, broken ? "Connect again" : "Connect Telegram"),
      ),
    ),
  );
}

/** @param {any} link */
function words(link) {
  if (link.state === "linked") return [`Notices go to ${link.chat_name || "your chat"}, linked `, link.linked_at ? whenAgo(link.linked_at) : "", "."];
  if (made) return ["Open the link in Telegram and confirm there. It works once, until ", when(made.expires_at), "."];
  if (link.state === "broken") return ["The bot was blocked, or the chat is gone. Connect again to get notices there."];
  return ["Get notices as messages. You open a link that works once, for 24 hours, and confirm in the chat."];
}

// ——— preferences ———

/** @param {any} wishes */
function preferences(wishes) {
  const linked = resources.telegram.data?.state === "linked";
  return [
    h(
      "div.card.scroll",
      { "data-key": "table" },
      h(
        "table.table",
        null,
        h("thead", null, h("tr", null, h("th", { scope: "col" }, "When"), h("th", { scope: "col" }, "In the app"), h("th", { scope: "col" }, "Email"), h("th", { scope: "col" }, "Telegram"))),
        h(
          "tbody",
          null,
          CODES.map(([code, label]) =>
            h(
              "tr",
              { "data-key": code },
              h("th", { scope: "row" }, label),
              h("td", null, h("input", { type: "checkbox", checked: true, disabled: true, "aria-label": `${label}: in the app` })),
              CHANNELS.map((channel) =>
                h(
                  "td",
                  null,
                  h("input", {
                    type: "checkbox",
                    checked: wants(wishes, channel, code),
                    disabled: channel === "telegram" && !linked,
                    "data-action": "wish",
                    "data-id": `${channel}:${code}`,
                    "aria-label": `${label}: ${channel}`,
                  }),
                ),
              ),
            ),
          ),
        ),
      ),
      !linked && h("p.quiet.small", null, "Telegram can be chosen once it is connected."),
    ),
    quiet(wishes),
  ];
}

/** @param {any} wishes @param {string} channel @param {string} code */
const wants = (wishes, channel, code) => wishes.channels[channel]?.[code] ?? true;

/** @param {any} wishes */
function quiet(wishes) {
  const hours = wishes.quiet_hours;
  const own = Boolean(wishes.own.quiet_hours);
  return h(
    "form.card.form",
    { "data-key": "quiet", "data-action": "quietHours" },
    h("h2", null, "Quiet hours"),
    h("p.quiet", null, `Email and Telegram wait until they are over; what needs you within a day comes through. Your time zone: ${wishes.time_zone ?? resources.me.data?.time_zone ?? zone}.`),
    h(
      "div.form-row",
      null,
      h("label.field", null, h("span", null, "From"), h("input", { type: "time", name: "start", value: hours?.start?.slice(0, 5) ?? "" })),
      h("label.field", null, h("span", null, "Until"), h("input", { type: "time", name: "end", value: hours?.end?.slice(0, 5) ?? "" })),
      h("button.button", { type: "submit" }, "Save"),
      own && h("button.plain", { type: "button", "data-action": "noQuietHours" }, "No quiet hours"),
    ),
  );
}

/** @param {object} change */
async function save(change) {
  const { preferences: resource } = resources;
  try {
    await put("/api/v1/notification-preferences", { ...resource.data.own, ...change });
  } finally {
    await resource.read();
  }
}

/** @type {import("../app.js").Page} */
export default {
  path: "/settings/notifications",
  heading: "Notifications",
  icon: "send",
  reads: ["preferences", "telegram"],
  show,
  actions: {
    async link() {
      made = await post("/api/v1/telegram/link");
      await resources.telegram.read();
    },
    async unlink() {
      await remove("/api/v1/telegram/link");
      await resources.telegram.read();
    },
    async wish(id, element) {
      const [channel, code] = id.split(":");
      const checked = element instanceof HTMLInputElement && element.checked;
      const { channels } = resources.preferences.data.own;
      await save({ channels: { ...channels, [channel]: { ...channels[channel], [code]: checked } } });
    },
    async quietHours(_, element) {
      const fields = new FormData(/** @type {HTMLFormElement} */ (element));
      const [start, end] = [String(fields.get("start") ?? ""), String(fields.get("end") ?? "")];
      await save({ quiet_hours: start && end ? { start, end } : null, time_zone: resources.preferences.data.own.time_zone ?? zone });
    },
    noQuietHours: () => save({ quiet_hours: null }),
  },
};
