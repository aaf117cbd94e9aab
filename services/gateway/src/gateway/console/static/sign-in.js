// The sign-in page: says why one is here, signs in, and goes back to where one came from.

import { Problem, post } from "./api.js";
import { h, render } from "./dom.js";
import { says } from "./parts.js";
import { localPath, spot } from "./paths.js";
import { Session, wordsFor } from "./session.js";

const query = new URLSearchParams(location.search);
const form = /** @type {HTMLFormElement} */ (document.getElementById("form"));
const refusal = spot("refusal");
const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));

const why = wordsFor(query.get("reason") ?? "", query.get("cause") ?? "");
if (why && query.get("reason") !== "token_missing") {
  render(spot("why"), says("warn", "warning", h("p.strong", null, why.title), h("p", null, why.fix)));
}

// Signed in already, or in another tab meanwhile: nothing to ask for.
const session = new Session();
session.addEventListener("change", () => session.state.kind === "live" && leave());
session.start();

function leave() {
  session.stop();
  location.replace(localPath(query.get("return_to")) ?? "/connections");
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = new FormData(form);
  const email = String(fields.get("email") ?? "").trim();
  const password = String(fields.get("password") ?? "");
  for (const [name, value] of Object.entries({ email, password })) {
    const input = /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
    input.setAttribute("aria-invalid", String(!value));
  }
  if (!email || !password) {
    render(refusal, says("bad", "warning", h("p", null, "Both the address and the password are needed.")));
    return;
  }
  button.disabled = true;
  button.textContent = "Signing in…";
  try {
    const answer = await post("/api/v1/auth/sign-in", { email, password });
    Session.announceSignIn(answer.session.session_id);
    leave();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const fields = error.errors.map((one) => h("p", null, `${one.field}: ${one.message}`));
    const words = fields.length
      ? fields
      : [error.detail && h("p", null, error.detail), error.fix && h("p", null, error.fix)];
    render(refusal, says("bad", "warning", h("p.strong", null, error.title), words));
    button.disabled = false;
    button.textContent = "Sign in";
    const password = /** @type {HTMLInputElement} */ (form.elements.namedItem("password"));
    password.focus();
    password.select();
  }
});

const forgot = /** @type {HTMLFormElement} */ (document.getElementById("forgot"));
forgot.addEventListener("submit", async (event) => {
  event.preventDefault();
  const said = spot("forgot-said");
  try {
    await post("/api/v1/auth/password-reset", { email: String(new FormData(forgot).get("email") ?? "").trim() });
    said.textContent = "If there is an account with this address, the link is on its way.";
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    said.textContent = `${error.title} ${error.detail}`;
  }
});
