// The console: the frame around the pages, what they read, live hints, and the session's state.

/** @import { Me } from "../../../../types/api" */

import { Problem, post, remove } from "./api.js";
import { h, icon, render } from "./dom.js";
import { Live } from "./live.js";
import audit from "./pages/audit.js";
import connections, { needing } from "./pages/connections.js";
import diagnose from "./pages/diagnose.js";
import gaps from "./pages/gaps.js";
import integrations from "./pages/integrations.js";
import members from "./pages/members.js";
import notices from "./pages/notices.js";
import notifications from "./pages/notifications.js";
import rules from "./pages/rules.js";
import sessions from "./pages/sessions.js";
import { skeletons } from "./parts.js";
import { spot } from "./paths.js";
import { resources, touchedBy } from "./resources.js";
import { Session } from "./session.js";
import { announceChanges, confirmed, toast } from "./telling.js";
import { roleWord, span, zone } from "./words.js";

/**
 * @typedef {object} Page
 * @property {string} path
 * @property {string} heading
 * @property {string} icon
 * @property {import("./resources.js").Name[]} reads
 * @property {() => import("./dom.js").Child} show
 * @property {(me: Me) => boolean} [may] whether this person has any use for it; default: everybody
 * @property {Record<string, (id: string, element: HTMLElement) => unknown>} [actions] by `data-action`
 */

/** @type {[string, Page[]][]} */
const GROUPS = [
  ["Work", [connections, notices, rules, gaps, diagnose]],
  ["Settings", [integrations, notifications, sessions]],
  ["Administration", [members, audit]],
];
const PAGES = GROUPS.flatMap(([, pages]) => pages);

/** What the frame shows, whatever the page. @type {import("./resources.js").Name[]} */
const ALWAYS = ["me", "notices", "connections", "providers"];

const CLOCK_MS = 20_000;
const POLL_MS = 15_000;

export const session = new Session();
/** @type {Live | null} */ let live = null;
let page = pageAt(location.pathname);
let drawing = false;

/** @param {string} path @returns {Page} */
function pageAt(path) {
  return PAGES.find((one) => one.path === path) ?? connections;
}

// ——— drawing ———

/** Draw soon, once for many reasons. */
function draw() {
  if (drawing) return;
  drawing = true;
  queueMicrotask(() => {
    drawing = false;
    drawNow();
  });
}

function drawNow() {
  const { kind } = session.state;
  if (kind === "ended" || kind === "replaced") return;
  render(spot("banner"), banner());
  render(spot("side"), side());
  render(spot("main"), resources.me.data || resources.me.problem ? page.show() : skeletons());
  const unread = resources.notices.data?.unread ?? 0;
  document.title = `${unread ? `(${unread}) ` : ""}${page.heading} · Wevion`;
}

function side() {
  const me = resources.me.data;
  /** @type {Record<string, number>} */
  const counts = {
    "/connections": resources.connections.data?.items.filter(needing).length ?? 0,
    "/notices": resources.notices.data?.unread ?? 0,
  };
  return [
    h("p.brand", null, h("img", { src: "/favicon.ico", alt: "", width: 28, height: 28 }), "Wevion"),
    h(
      "nav.nav",
      { "aria-label": "Console" },
      groupsFor(me).map(({ heading, pages }) =>
        h(
          "div.nav-group",
          { "data-key": heading },
          h("p.nav-title", null, heading),
          pages.map((one) =>
            h(
              "a",
              { href: one.path, "aria-current": one === page && "page", "data-key": one.path },
              icon(one.icon),
              one.heading,
              counts[one.path]
                ? h(
                    "span.count",
                    { "data-key": "count" },
                    counts[one.path],
                    h("span.unseen", null, one.path === "/notices" ? " unread" : " need you"),
                  )
                : null,
            ),
          ),
        ),
      ),
    ),
    h(
      "div.who",
      null,
      me &&
        h(
          "div",
          { "data-key": "who" },
          h("p.who-name", null, me.name || me.email),
          h("p.quiet.small", null, several(me) ? roleWord(me.role) : `${roleWord(me.role)} · ${workspaceName(me)}`),
          h("p.quiet.small", null, `Times: ${zone}`),
        ),
      me && several(me) && workspaces(me),
      h("button.button", { type: "button", "data-action": "sign-out", "data-key": "sign-out" }, "Sign out"),
    ),
  ];
}

/** The pages that this person has a use for. @param {Me | null} me */
const groupsFor = (me) =>
  GROUPS.map(([heading, pages]) => ({ heading, pages: pages.filter((one) => !one.may || (me && one.may(me))) })).filter(
    ({ pages }) => pages.length > 0,
  );

/** Whether there is another workspace to go to. @param {Me} me */
const several = (me) => me.workspaces.length > 1 && !me.acting_admin_user_id;

/** @param {Me} me */
const workspaces = (me) =>
  h(
    "label.workspace",
    { "data-key": "workspace" },
    h("span.unseen", null, "Workspace"),
    h(
      "select",
      { "data-action": "workspace" },
      me.workspaces.map((one) =>
        h(
          "option",
          { value: one.workspace_id, selected: one.workspace_id === me.workspace_id, "data-key": one.workspace_id },
          one.name,
        ),
      ),
    ),
  );

function banner() {
  const { state } = session;
  const me = resources.me.data;
  const acting = me?.acting_admin_user_id;
  return [
    state.kind === "unreachable" &&
      h(
        "div.banner.warn",
        { role: "status", "data-key": "unreachable" },
        icon("retrying"),
        state.cause === "offline" ? "This device is offline. " : "Wevion cannot be reached at the moment. ",
        "You stay signed in; it goes on by itself.",
      ),
    acting &&
      h(
        "div.banner",
        { role: "status", "data-key": "acting" },
        icon("warning"),
        h(
          "span",
          null,
          `Wevion support${me.acting_admin_name ? ` (${me.acting_admin_name})` : ""} is acting as ` +
            `${me.name}. Everything done is recorded. ` +
            `It ends in ${span((Date.parse(me.expires_at) - Date.now()) / 1000)}.`,
        ),
        h("button.button", { type: "button", "data-action": "stop-acting" }, "Stop acting"),
      ),
  ];
}

/** @param {Me} me */
const workspaceName = (me) => me.workspaces.find((one) => one.workspace_id === me.workspace_id)?.name ?? "";

// ——— moving between pages ———

/** @param {string} path @param {boolean} push */
function go(path, push) {
  const url = new URL(path, location.origin);
  const before = page;
  page = pageAt(url.pathname);
  if (push) history.pushState(null, "", url.pathname + url.search);
  for (const [name, resource] of Object.entries(resources)) {
    if ([...ALWAYS, ...page.reads].includes(/** @type {import("./resources.js").Name} */ (name))) resource.want();
    else resource.leave();
  }
  // what it said is in `pages/arrival.js`; it is said once
  if (url.search) history.replaceState(null, "", url.pathname);
  if (before !== page) {
    spot("main").replaceChildren();
    spot("main").focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  drawNow();
  // On a narrow screen the navigation is a row that scrolls.
  spot("side").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
}

document.addEventListener("click", (event) => {
  if (!(event.target instanceof Element)) return;
  const link = event.target.closest("a[href]");
  if (link instanceof HTMLAnchorElement && !link.dataset.action) {
    const plainClick = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (plainClick && link.origin === location.origin && PAGES.some((one) => one.path === link.pathname)) {
      event.preventDefault();
      go(link.pathname + link.search, true);
    }
    return;
  }
  const button = event.target.closest("button[data-action]");
  if (button instanceof HTMLButtonElement) act(button);
});

document.addEventListener("change", (event) => {
  const input = event.target;
  if (input instanceof HTMLElement && input.dataset.action && !(input instanceof HTMLButtonElement)) act(input);
});

document.addEventListener("submit", (event) => {
  if (event.target instanceof HTMLFormElement && event.target.dataset.action) {
    event.preventDefault();
    act(event.target);
  }
});

addEventListener("popstate", () => go(location.pathname, false));

/** @type {Record<string, (id: string, element: HTMLElement) => unknown>} */
const ACTIONS = {
  again: (id) => resources[/** @type {import("./resources.js").Name} */ (id)].read(),
  "sign-out": () => session.signOut(),
  async workspace(_, select) {
    try {
      await post("/api/v1/auth/workspace", { workspace_id: /** @type {HTMLSelectElement} */ (select).value });
      session.check(); // the JWT names the workspace
    } finally {
      await resources.me.read();
      /** @type {HTMLSelectElement} */ (select).value = resources.me.data?.workspace_id ?? "";
    }
  },
  "stop-acting": async () => {
    await remove("/api/v1/admin/impersonations/current");
    await session.check();
  },
};

/** @param {HTMLElement} element */
async function act(element) {
  const action = page.actions?.[element.dataset.action ?? ""] ?? ACTIONS[element.dataset.action ?? ""];
  if (!action || element.getAttribute("aria-disabled") === "true") return;
  if (element.dataset.confirm && !(await confirmed(element.dataset.confirm, element.dataset.confirmLabel ?? "Yes")))
    return;
  element.setAttribute("aria-disabled", "true");
  try {
    await action(element.dataset.id ?? "", element);
  } catch (error) {
    if (error instanceof Problem && error.status === 401) session.check();
    toast("warning", error instanceof Problem ? error.words : "It could not be done now. Try again.");
  } finally {
    element.removeAttribute("aria-disabled");
    draw();
  }
}

// ——— the session and what is live ———

session.addEventListener("change", () => {
  const { state } = session;
  if (state.kind === "ended") {
    stop();
    const url = new URL(state.fixUrl, location.origin);
    url.searchParams.set("return_to", location.pathname + location.search);
    location.replace(url);
  } else if (state.kind === "replaced") {
    stop();
    location.reload();
  } else if (state.kind === "live" && !live) {
    begin(state.sid);
  } else {
    draw();
  }
});

/** @param {string} sid */
function begin(sid) {
  live = new Live(sid);
  live.addEventListener("hint", (event) => {
    const { topic, about } = /** @type {CustomEvent} */ (event).detail;
    if (about.kind === "session" && about.id === sid) {
      session.check();
      resources.me.hint(); // it may be in another workspace now
    }
    for (const name of touchedBy(topic, about)) resources[name].hint();
  });
  live.addEventListener("resync", () => {
    for (const resource of wanted()) resource.hint();
  });
  live.addEventListener("closed", () => session.check());
  live.addEventListener("status", (event) => /** @type {CustomEvent} */ (event).detail.connected || session.check());
  go(location.pathname + location.search, false);
}

function stop() {
  live?.stop();
  live = null;
  session.stop();
  for (const resource of Object.values(resources)) {
    resource.leave();
    resource.forget();
  }
  spot("main").replaceChildren();
  spot("side").replaceChildren();
}

const wanted = () => [...new Set([...ALWAYS, ...page.reads])].map((name) => resources[name]);

/** @type {string | null} */ let workspaceId = null;

/** In another workspace, by this tab or another one: nothing of the old one stays on the screen. */
function followWorkspace() {
  const { data: me } = resources.me;
  if (!me || me.workspace_id === workspaceId) return;
  if (workspaceId) {
    for (const resource of Object.values(resources)) if (resource !== resources.me) resource.forget();
    for (const resource of wanted()) if (resource !== resources.me) resource.read();
    toast("ok", `You are in ${workspaceName(me)} now.`);
  }
  workspaceId = me.workspace_id;
}

for (const resource of Object.values(resources)) {
  resource.addEventListener("change", () => {
    if (resource.problem?.status === 401) session.check();
    if (resource === resources.me) followWorkspace();
    announceChanges(resource);
    draw();
  });
}

// "In 3 days" grows old by itself. Without live hints, look now and then.
setInterval(draw, CLOCK_MS);
setInterval(() => {
  if (live && !live.connected && !document.hidden && session.state.kind === "live")
    for (const resource of wanted()) resource.hint();
}, POLL_MS);

render(spot("side"), side());
render(spot("main"), skeletons());
session.start();
