// Set a new password by the one-time link of a mail. Its value is in the fragment, which browsers send to nobody.

import { Problem, post } from "./api.js";
import { h, render } from "./dom.js";
import { says } from "./parts.js";
import { spot } from "./paths.js";

const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
history.replaceState(null, "", location.pathname); // out of the address bar and the history

const form = /** @type {HTMLFormElement} */ (document.getElementById("form"));
const input = /** @type {HTMLInputElement} */ (form.elements.namedItem("password"));
const show = /** @type {HTMLInputElement} */ (form.elements.namedItem("show"));
show.addEventListener("change", () => (input.type = show.checked ? "text" : "password"));

const again = () => h("a.button", { href: "/sign-in" }, "Ask for a new link");
if (!token) refuse(["This page needs the link that was mailed to you."], again());

/** @param {string[]} words @param {import("./dom.js").Child} [beside] */
function refuse(words, beside) {
  render(
    spot("refusal"),
    says(
      "bad",
      "warning",
      words.map((word) => h("p", null, word)),
      beside,
    ),
  );
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await post("/api/v1/auth/password-reset/confirm", { token, new_password: input.value });
    form.hidden = true;
    render(spot("done"), [
      says("good", "ok", h("p", null, "The password is set.")),
      h("p", null, h("a.button.primary", { href: "/sign-in" }, "Sign in")),
    ]);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    input.setAttribute("aria-invalid", String(error.errors.length > 0));
    const words = error.errors.length
      ? error.errors.map((one) => `The new password ${one.message}.`)
      : [error.detail || error.title, error.fix];
    refuse(words, error.status === 410 && again());
  }
});
