// Accept or decline an invitation by the link of its mail. Its value is in the fragment, which browsers send to nobody.

import { Problem, post } from "./api.js";
import { h, render } from "./dom.js";
import { says } from "./parts.js";
import { spot } from "./paths.js";

const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
history.replaceState(null, "", location.pathname); // out of the address bar and the history

const form = /** @type {HTMLFormElement} */ (document.getElementById("form"));
const nameInput = /** @type {HTMLInputElement} */ (form.elements.namedItem("name"));
const password = /** @type {HTMLInputElement} */ (form.elements.namedItem("password"));
const show = /** @type {HTMLInputElement} */ (form.elements.namedItem("show"));
show.addEventListener("change", () => (password.type = show.checked ? "text" : "password"));

/** @param {unknown} error */
function refuse(error) {
  if (!(error instanceof Problem)) throw error;
  const words = error.errors.length
    ? error.errors.map((one) => `The ${one.field.replaceAll("_", " ")} ${one.message}.`)
    : [error.detail || error.title, error.fix];
  render(
    spot("refusal"),
    says(
      "bad",
      "warning",
      words.filter(Boolean).map((word) => h("p", null, word)),
    ),
  );
  if (error.status === 410) form.hidden = true;
}

/** @param {string} words @param {import("./dom.js").Child} [beside] */
function finish(words, beside) {
  form.hidden = true;
  render(spot("refusal"), []);
  render(spot("done"), [says("good", "ok", h("p", null, words)), beside]);
}

async function offer() {
  const found = await post("/api/v1/invitations/by-link", { token });
  spot("name-field").hidden = found.has_account;
  nameInput.required = !found.has_account;
  password.autocomplete = found.has_account ? "current-password" : "new-password";
  spot("password-words").textContent = found.has_account ? "Your Wevion password" : "Choose a password";
  render(spot("offer"), [
    h(
      "p",
      null,
      h("bdi", null, found.inviter_name),
      " invites ",
      h("bdi", null, found.email),
      " to the workspace ",
      h("strong", null, h("bdi", null, found.workspace_name)),
      ` as ${found.role}.`,
    ),
    h("p.quiet", null, "You become a member when you accept, and you can leave again at any time."),
  ]);
  form.hidden = false;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const name = nameInput.required ? { name: nameInput.value, time_zone: zone } : {};
  try {
    await post("/api/v1/invitations/by-link/accept", { token, password: password.value, ...name });
    finish("You are a member now.", h("p", null, h("a.button.primary", { href: "/sign-in" }, "Sign in")));
  } catch (error) {
    refuse(error);
  }
});

spot("decline").addEventListener("click", async () => {
  try {
    await post("/api/v1/invitations/by-link/decline", { token });
    finish("You declined. The workspace learns nothing about you.");
  } catch (error) {
    refuse(error);
  }
});

offer().catch(refuse);
