// Building and updating the page without a framework. Text is always text: nothing here parses markup.

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | number | null | undefined | false | readonly unknown[]} Child */

/**
 * An element: `h("a.button.primary", { href: "/x" }, "Go")`. Attributes that are null, undefined or false are left out.
 * @param {string} selector tag and classes
 * @param {Record<string, unknown> | null} [attributes]
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function h(selector, attributes, ...children) {
  const [tag, ...classes] = selector.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.classList.add(...String(value).split(" ").filter(Boolean));
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

/** @param {Node} parent @param {readonly unknown[]} children */
function append(parent, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(parent, child);
    else if (child instanceof Node) parent.appendChild(child);
    else if (child !== null && child !== undefined && child !== false) parent.appendChild(new Text(String(child)));
  }
}

/** @type {Record<string, string>} strokes on a grid of 16 */
const ICONS = {
  ok: "M3.5 8.5l3 3 6-7",
  warning: "M8 2.2 14.4 13.4H1.6z M8 6.4v3.2 M8 11.5v.1",
  ended: "M4.5 4.5l7 7 M11.5 4.5l-7 7",
  retrying: "M13 8a5 5 0 1 1-1.6-3.7 M13 2.2v2.6h-2.6",
  paused: "M5.8 4v8 M10.2 4v8",
  clock: "M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2z M8 5v3.2l2 1.4",
  bell:
    "M8 2.4a3.6 3.6 0 0 1 3.6 3.6c0 3.4 1.4 4.4 1.4 4.4H3s1.4-1 1.4-4.4A3.6 3.6 0 0 1 8 2.4z M6.8 " +
    "12.8a1.3 1.3 0 0 0 2.4 0",
  link: "M6.6 9.4l2.8-2.8 M5.4 7.6 3.9 9.1a2.1 2.1 0 0 0 3 3l1.5-1.5 M10.6 8.4l1.5-1.5a2.1 2.1 0 0 0-3-3L7.6 5.4",
  rule: "M9 1.8 3.6 9h4l-.8 5.2L12.4 7h-4z",
  gap: "M2.5 8h3 M10.5 8h3 M7.4 5.8v4.4 M8.9 5.8v4.4",
  plug: "M6 2.2v3 M10 2.2v3 M4.4 5.2h7.2v2.4a3.6 3.6 0 0 1-7.2 0z M8 11.2v2.6",
  devices: "M2.4 3.6h9v6.2h-9z M4.8 12.4h4.2 M11.6 6.4h2v6h-3v-2.6",
  search: "M7 2.6a4.4 4.4 0 1 1 0 8.8 4.4 4.4 0 0 1 0-8.8z M10.2 10.2l3.4 3.4",
  people:
    "M6 7.6a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z M1.8 13.6c0-2.5 1.9-4 4.2-4s4.2 1.5 4.2 4 M10.6 2.9a2.4 " +
    "2.4 0 0 1 0 4.4 M11.8 9.8c1.5.5 2.4 1.9 2.4 3.8",
  log: "M3.8 2.2h8.4v11.6H3.8z M6.2 5.4h3.6 M6.2 8h3.6 M6.2 10.6h2.2",
  send: "M13.8 2.4 2.2 7.2l4 1.6 1.6 4.4z M6.2 8.8l3.4-3",
};

/** A small picture beside words that say the same. @param {string} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name] ?? "");
  svg.append(path);
  return svg;
}

/**
 * Make `from` look like `to`, keeping every element that is in both: focus, scroll places and open details stay.
 * Children are matched by `data-key`, else by place and tag.
 * @param {Node} from @param {Node} to
 */
export function morph(from, to) {
  if (from instanceof Text || from instanceof Comment) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  if (from instanceof Element && to instanceof Element) {
    morphAttributes(from, to);
    morphChildren(from, to);
  }
}

/** @param {Element} from @param {Element} to */
function morphAttributes(from, to) {
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !isTheirs(from, name)) setAttribute(from, name, null);
  }
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value && !isTheirs(from, name)) setAttribute(from, name, value);
  }
}

/** What the person at the screen decides, not we. @param {Element} element @param {string} name */
function isTheirs(element, name) {
  return name === "open" || (element === document.activeElement && name === "value");
}

/** @param {Element} element @param {string} name @param {string | null} value */
function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
  if (element instanceof HTMLInputElement) {
    if (name === "checked") element.checked = value !== null;
    if (name === "value") element.value = value ?? "";
  }
  if (element instanceof HTMLOptionElement && name === "selected") element.selected = value !== null;
}

/** @param {Node} node */
const keyOf = (node) => (node instanceof Element ? node.getAttribute("data-key") : null);

/** @param {Element} from @param {Element} to */
function morphChildren(from, to) {
  const keyed = new Map();
  for (const child of from.childNodes) if (keyOf(child)) keyed.set(keyOf(child), child);
  const kept = new Set();
  let cursor = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const key = keyOf(wanted);
    while (cursor && kept.has(cursor)) cursor = cursor.nextSibling;
    /** @type {Node | null | undefined} */
    let match = key ? keyed.get(key) : cursor && !keyOf(cursor) && cursor.nodeName === wanted.nodeName ? cursor : null;
    if (match && match.nodeName !== wanted.nodeName) match = null;
    if (match) {
      kept.add(match);
      if (match === cursor) cursor = cursor.nextSibling;
      else from.insertBefore(match, cursor);
      morph(match, wanted);
    } else {
      kept.add(wanted);
      from.insertBefore(wanted, cursor);
    }
  }
  for (const child of [...from.childNodes]) if (!kept.has(child)) child.remove();
}

/** Put `tree` into `place`, with as little movement as possible. @param {HTMLElement} place @param {Child} tree */
export function render(place, tree) {
  const wanted = place.cloneNode(false);
  append(wanted, [tree]);
  const focused = document.activeElement;
  morphChildren(place, /** @type {Element} */ (wanted));
  if (focused instanceof HTMLElement && focused !== document.activeElement && place.contains(focused)) {
    focused.focus({ preventScroll: true }); // moving an element takes its focus away
  }
}
