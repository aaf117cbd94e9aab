// What is said when the browser comes back from a platform: connected, or why not. The address holds only codes.

import { h } from "../dom.js";
import { says } from "../parts.js";
import { count, title } from "../words.js";

const said = new URLSearchParams(location.search);

/** @type {Record<string, string>} */
const REFUSALS = {
  access_denied: "The consent was not given, so nothing has changed.",
  state_used: "This consent was used already. Start again with the button.",
  state_expired: "The consent took too long. Start again with the button.",
  state_unknown: "This consent was not started in this browser. Start again with the button.",
  consent_denied: "The consent was not given, so nothing has changed.",
  start_again: "This consent cannot be used any more. Start again with the button.",
  platform_unavailable: "The platform has trouble of its own. Start again in a few minutes.",
  our_fault: "The platform refuses Wevion itself. Our operators are told; there is nothing for you to do.",
};

export function arrival() {
  const connected = said.get("connected");
  if (connected) {
    const lost = Number(said.get("accounts_lost") ?? 0);
    const missing = Number(said.get("missing_scopes") ?? 0);
    const done = said.get("how") === "reauthorize" ? "works again" : "is connected";
    return h(
      "div.said",
      { "data-key": "arrival" },
      lost > 0
        ? says(
            "warn",
            "warning",
            h(
              "p",
              null,
              `${title(connected)} ${done}, but ${count(lost, "account")} cannot be reached: the access to ` +
                `${lost === 1 ? "it" : "them"} was removed at ${title(connected)}.`,
            ),
          )
        : missing > 0
          ? says(
              "warn",
              "warning",
              h(
                "p",
                null,
                `${title(connected)} ${done}, with ${count(missing, "permission")} missing; see below what ` +
                  `does not work without ${missing === 1 ? "it" : "them"}.`,
              ),
            )
          : says("good", "ok", h("p", null, `${title(connected)} ${done}. Its accounts were checked at the platform.`)),
    );
  }
  const code = said.get("connect_error");
  if (!code) return null;
  const name = title(said.get("provider") ?? "the platform");
  return h(
    "div.said",
    { "data-key": "arrival" },
    says(
      "bad",
      "warning",
      h("p.strong", null, `${name} was not connected.`),
      h(
        "p",
        null,
        REFUSALS[code] ?? "Try again; if it stays so, tell support the code ",
        !REFUSALS[code] && h("code", null, code),
      ),
    ),
  );
}
