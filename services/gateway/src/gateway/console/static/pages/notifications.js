// Where notices reach this person: email and Telegram by kind, quiet hours, and the Telegram link.

/** @import { Preferences, TelegramLink } from "../../../../../types/api" */

import { post, put, remove } from "../api.js";
import { h } from "../dom.js";
import { looking } from "../looking.js";
import { badge, mark, pageHead, reading, when, whenAgo } from "../parts.js";
import { resources } from "../resources.js";
import { toast } from "../telling.js";
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
    h(
      "section.section",
      { "data-key": "preferences" },
      h("h2", null, "What reaches you, and where"),
      reading(resources.preferences, preferences, "preferences"),
    ),
  ];
}

// ——— Telegram ———

/** @param {TelegramLink} link */
function telegram(link) {
  const linked = link.state === "linked";
  const broken = link.state === "broken";
  if (linked) looking.telegram.made = null;
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
        h(
          "div.item-title",
          null,
          h("h2", null, "Telegram"),
          linked
            ? badge("good", "ok", "Connected")
            : broken
              ? badge("bad", "ended", "Broken")
              : looking.telegram.made
                ? badge("hold", "clock", "Waiting for you")
                : badge("", "plug", "Not connected"),
        ),
        h("p", null, words(link)),
      ),
      h(
        "div.item-action",
        null,
        linked
          ? h(
              "button.button",
              {
                type: "button",
                "data-action": "unlink",
                "data-confirm": "Disconnect Telegram? Notices reach you by email and in the app.",
                "data-confirm-label": "Disconnect",
              },
              "Disconnect",
            )
          : looking.telegram.made
            ? h(
                "a.button.primary",
                { href: looking.telegram.made.url, target: "_blank", rel: "noopener noreferrer" },
                "Open Telegram",
              )
            : h(
                "button.button.primary",
                { type: "button", "data-action": "link" },
                broken ? "Connect again" : "Connect Telegram",
              ),
      ),
    ),
  );
}

/** @param {TelegramLink} link */
function words(link) {
  if (link.state === "linked")
    return [
      `Notices go to ${link.chat_name || "your chat"}, linked `,
      link.linked_at ? whenAgo(link.linked_at) : "",
      ".",
    ];
  if (looking.telegram.made)
    return [
      "Open the link in Telegram and confirm there. It works once, until ",
      when(looking.telegram.made.expires_at),
      ".",
    ];
  if (link.state === "broken") return ["The bot was blocked, or the chat is gone. Connect again to get notices there."];
  return ["Get notices as messages. You open a link that works once, for 24 hours, and confirm in the chat."];
}

// ——— preferences ———

/** @param {Preferences} wishes */
function preferences(wishes) {
  const linked = resources.telegram.data?.state === "linked";
  return [
    h(
      "div.card.scroll",
      { "data-key": "table" },
      h(
        "table.table",
        null,
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            h("th", { scope: "col" }, "When"),
            h("th", { scope: "col" }, "In the app"),
            h("th", { scope: "col" }, "Email"),
            h("th", { scope: "col" }, "Telegram"),
          ),
        ),
        h(
          "tbody",
          null,
          CODES.map(([code, label]) =>
            h(
              "tr",
              { "data-key": code },
              h("th", { scope: "row" }, label),
              h(
                "td",
                null,
                h("input", { type: "checkbox", checked: true, disabled: true, "aria-label": `${label}: in the app` }),
              ),
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

/** @param {Preferences} wishes @param {string} channel @param {string} code */
const wants = (wishes, channel, code) => wishes.channels?.[channel]?.[code] ?? true;

/** @param {Preferences} wishes */
function quiet(wishes) {
  const hours = wishes.quiet_hours;
  const own = Boolean(wishes.own.quiet_hours);
  return h(
    "form.card.form",
    { "data-key": "quiet", "data-action": "quietHours" },
    h("h2", null, "Quiet hours"),
    h(
      "p.quiet",
      null,
      `Email and Telegram wait until they are over; what needs you within a day comes through. Your time ` +
        `zone: ${wishes.time_zone ?? resources.me.data?.time_zone ?? zone}.`,
    ),
    h(
      "div.form-row",
      null,
      h(
        "label.field",
        null,
        h("span", null, "From"),
        h("input", { type: "time", name: "start", value: hours?.start?.slice(0, 5) ?? "" }),
      ),
      h(
        "label.field",
        null,
        h("span", null, "Until"),
        h("input", { type: "time", name: "end", value: hours?.end?.slice(0, 5) ?? "" }),
      ),
      h("button.button", { type: "submit" }, "Save"),
      own && h("button.plain", { type: "button", "data-action": "noQuietHours" }, "No quiet hours"),
    ),
  );
}

/** @param {object} change */
async function save(change) {
  const { preferences: resource } = resources;
  try {
    await put("/api/v1/notification-preferences", { ...resource.data?.own, ...change });
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
      looking.telegram.made = await post("/api/v1/telegram/link");
      await resources.telegram.read();
    },
    async unlink() {
      await remove("/api/v1/telegram/link");
      await resources.telegram.read();
    },
    async wish(id, element) {
      const [channel, code] = id.split(":");
      const checked = element instanceof HTMLInputElement && element.checked;
      const channels = resources.preferences.data?.own.channels ?? {};
      await save({ channels: { ...channels, [channel]: { ...channels[channel], [code]: checked } } });
    },
    async quietHours(_, element) {
      const fields = new FormData(/** @type {HTMLFormElement} */ (element));
      const [start, end] = [String(fields.get("start") ?? ""), String(fields.get("end") ?? "")];
      if (!start || !end) return toast("warning", "Quiet hours need both times, when they begin and when they end.");
      await save({ quiet_hours: { start, end } }); // the time zone is another wish: it stays as it is
    },
    noQuietHours: () => save({ quiet_hours: null }),
  },
};
