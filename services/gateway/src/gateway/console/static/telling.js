// Telling the person: short messages (read out by screen readers), questions, and what has changed by itself.

/** @import { Connection, Integration } from "../../../../types/api" */

import { h, icon } from "./dom.js";
import { spot } from "./paths.js";
import { lookOf, title } from "./words.js";

const SHOWN_MS = 7_000;
const MOST = 3;

/** @param {string} name of the icon @param {string} words */
export function toast(name, words) {
  const toasts = spot("toasts");
  const shown = h("div.toast", null, icon(name), h("div", null, words));
  toasts.append(shown);
  while (toasts.children.length > MOST) toasts.firstElementChild?.remove();
  setTimeout(() => shown.remove(), SHOWN_MS);
}

/**
 * Ask before something that cannot be undone.
 * @param {string} question @param {string} yes
 * @returns {Promise<boolean>}
 */
export function confirmed(question, yes) {
  const dialog = /** @type {HTMLDialogElement} */ (
    h(
      "dialog",
      { "aria-labelledby": "question" },
      h(
        "form",
        { method: "dialog" },
        h("p", { id: "question" }, question),
        h(
          "div.dialog-actions",
          null,
          h("button.button", { value: "no", autofocus: true }, "Cancel"),
          h("button.button.danger", { value: "yes" }, yes),
        ),
      ),
    )
  );
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    dialog.showModal();
  });
}

/** What was known of each connection and rule, to say what has changed. @type {Map<string, Map<string, string>>} */
const known = new Map();

/** @param {import("./resources.js").Resource<any>} resource */
export function announceChanges(resource) {
  if (!resource.data || resource.problem) return;
  if (resource.name === "connections") tell("connections", resource.data.items.map(connectionFact));
  if (resource.name === "integrations") {
    const made = resource.data.items.filter((/** @type {Integration} */ one) => one.connection);
    tell(
      "integrations",
      made.map((/** @type {Integration & {connection: Connection}} */ one) => connectionFact(one.connection)),
    );
  }
}

/** @typedef {{key: string, state: string, words: string, icon: string}} Fact */

/** @param {Connection} connection @returns {Fact} */
function connectionFact(connection) {
  const look = lookOf(connection.status);
  const name = title(connection.provider) + (connection.subject_name ? ` (${connection.subject_name})` : "");
  return {
    key: connection.connection_id,
    state: connection.status,
    words: `${name}: ${look.word.toLowerCase()} now.`,
    icon: look.icon,
  };
}

/** @param {string} name @param {Fact[]} facts */
function tell(name, facts) {
  const before = known.get(name);
  known.set(name, new Map(facts.map((fact) => [fact.key, fact.state])));
  if (!before) return;
  for (const { key, state, words, icon: picture } of facts) {
    if (before.has(key) && before.get(key) !== state) toast(picture, words);
  }
}
