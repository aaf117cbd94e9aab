// Names of colleagues.

/** @import { Person } from "../../../../types/api" */

import { resources } from "./resources.js";

/** @param {string} userId */
export function personName(userId) {
  if (userId === resources.me.data?.user_id) return "you";
  const person = resources.people.data?.items.find((/** @type {Person} */ one) => one.user_id === userId);
  return person?.name ?? "a former colleague";
}
