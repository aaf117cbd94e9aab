// Parts that several pages are made of.

import { h, icon } from "./dom.js";
import { ago, lookOf, moment, shortMoment, title } from "./words.js";

/** @param {string} status */
export function statusBadge(status) {
  const { word, tone, icon: name } = lookOf(status);
  return badge(tone, name, word);
}

/** @param {string} tone @param {string} name of the icon @param {string} word */
export const badge = (tone, name, word) => h("span.badge", { class: tone }, icon(name), word);

/** A platform's initials, for the eye only. @param {string} provider */
export function mark(provider) {
  const words = title(provider).split(" ");
  const initials = words.length > 1 ? words[0][0] + words[1][0] : words[0].slice(0, 2);
  return h("div.mark", { class: provider, "aria-hidden": "true" }, initials);
}

/** A moment in the reader's zone; the exact one in UTC is behind it. @param {string} iso */
export const when = (iso) => h("time", { datetime: iso, title: new Date(iso).toISOString() }, moment(iso));
/** @param {string} iso */
export const whenShort = (iso) => h("time", { datetime: iso, title: moment(iso) }, shortMoment(iso));
/** @param {string} iso */
export const whenAgo = (iso) => h("time", { datetime: iso, title: moment(iso) }, ago(iso));

/**
 * Something to be read before the rest.
 * @param {string} tone @param {string} name @param {...import("./dom.js").Child} content
 */
export const says = (tone, name, ...content) => h("div.says", { class: tone }, icon(name), h("div", null, ...content));

/** @param {string} heading @param {string} lead @param {...import("./dom.js").Child} beside */
export const pageHead = (heading, lead, ...beside) =>
  h("div.page-head", null, h("div", null, h("h1", null, heading), h("p", null, lead)), ...beside);

/** @param {string} name @param {string} heading @param {...import("./dom.js").Child} content */
export const empty = (name, heading, ...content) =>
  h("div.card.empty", null, icon(name), h("h2", null, heading), ...content);

/** Placeholders while the first answer is on its way. @param {number} [number] */
export const skeletons = (number = 3) =>
  h(
    "div.stack",
    { "aria-busy": "true" },
    h("span.unseen", null, "Loading"),
    Array.from({ length: number }, () => h("div.skeleton")),
  );

/**
 * What a page shows of something it has read: placeholders, the thing, and what went wrong, beside the rest of the
 * page.
 * @template T
 * @param {import("./resources.js").Resource<T>} resource
 * @param {(data: T) => import("./dom.js").Child} show
 * @param {string} what such as "connections"
 */
export function reading(resource, show, what) {
  const { data, readAt } = resource;
  const problem = resource.problem?.status === 401 ? null : resource.problem; // the session has the word on that
  return [
    problem && h("div.said", { "data-key": "problem" }, trouble(problem, what, data ? readAt : null, resource.name)),
    data ? show(data) : !problem && skeletons(),
  ];
}

/** @param {import("./api.js").Problem} problem @param {string} what @param {Date | null} readAt @param {string} name */
function trouble(problem, what, readAt, name) {
  const part = problem.service ? ` (${problem.service})` : "";
  const heading = problem.passing ? `The ${what} cannot be read now${part}.` : problem.title;
  return says(
    problem.passing ? "warn" : "bad",
    "warning",
    h("p.strong", null, heading),
    h(
      "p",
      null,
      problem.passing ? problem.title + (problem.title.endsWith(".") ? "" : ".") : problem.detail,
      " ",
      problem.fix,
    ),
    readAt && h("p", null, "What you see is of ", whenShort(readAt.toISOString()), "."),
    problem.passing &&
      h(
        "p",
        null,
        "It is tried again by itself. ",
        h("button.plain", { type: "button", "data-action": "again", "data-id": name }, "Try now"),
      ),
  );
}

/** @param {{url: string, label: string, quiet?: boolean}} fix */
export const fixButton = ({ url, label, quiet }) => h("a.button", { class: quiet ? "" : "primary", href: url }, label);
