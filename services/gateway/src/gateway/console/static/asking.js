// Asking for more than yes or no: a form in a dialog. It stays, with what was typed, until it is done or given up.

import { Problem } from "./api.js";
import { h, icon } from "./dom.js";

/**
 * @param {{heading: string, words: string, fields: HTMLElement[], yes: string}} question
 * @param {(fields: FormData) => Promise<void>} send throws what was refused, which is then said in the dialog
 * @returns {Promise<boolean>} whether it was done
 */
export function asked({ heading, words, fields, yes }, send) {
  const refusal = h("div.says.bad", { role: "alert", hidden: true });
  const button = /** @type {HTMLButtonElement} */ (h("button.button.primary", { type: "submit" }, yes));
  const cancel = h("button.button", { type: "button" }, "Cancel");
  const form = /** @type {HTMLFormElement} */ (
    h(
      "form.form",
      null,
      h("h2", { id: "asked" }, heading),
      h("p.quiet", null, words),
      fields,
      refusal,
      h("div.dialog-actions", null, cancel, button),
    )
  );
  const dialog = /** @type {HTMLDialogElement} */ (h("dialog.wide", { "aria-labelledby": "asked" }, form));
  cancel.addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await send(new FormData(form));
      dialog.close("done");
    } catch (error) {
      const said = error instanceof Problem ? error.words : "It could not be done now. Try again.";
      refusal.replaceChildren(icon("warning"), h("div", null, h("p", null, said)));
      refusal.hidden = false;
    } finally {
      button.disabled = false;
    }
  });
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "done");
    });
    dialog.showModal();
  });
}
