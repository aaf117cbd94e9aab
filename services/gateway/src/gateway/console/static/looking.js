// What the person has typed, opened and been answered on each page. Pages hold nothing themselves: they show this.

/** @import { Diagnosis, LinkOffer, MemberSession } from "../../../../types/api" */

export const looking = {
  members: {
    search: "",
    /** The one workspace that support looks at. @type {{id: string, name: string} | null} */
    only: null,
    /** Whose sessions are shown, as they were at the last look. @type {Map<string, MemberSession[]>} */
    shown: new Map(),
  },
  diagnosis: {
    /** The last answer. @type {Diagnosis | null} */
    found: null,
    /** The question that it answers. @type {Record<string, unknown>} */
    asked: {},
  },
  telegram: {
    /** The code that was made here and is waiting. @type {LinkOffer | null} */
    made: null,
  },
};
