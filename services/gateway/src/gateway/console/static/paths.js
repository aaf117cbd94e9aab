// Addresses that come from outside, and places in the page.

/**
 * A path of this site, or null. What comes in `return_to` may be anything, such as `//elsewhere.example`.
 * @param {string | null} value
 */
export function localPath(value) {
  if (!value?.startsWith("/")) return null;
  let url;
  try {
    url = new URL(value, location.origin);
  } catch {
    return null;
  }
  if (url.origin !== location.origin || url.pathname.startsWith("//") || url.pathname === "/sign-in") return null;
  return url.pathname + url.search + url.hash;
}

/**
 * The link of a fix, which comes back to the page it was clicked on.
 * @param {string | null} address @param {string} returnTo
 */
export function fixLink(address, returnTo) {
  if (!address) return null;
  const url = new URL(address, location.origin);
  if (url.protocol !== "https:" && url.protocol !== "http:") return null;
  if (url.origin === location.origin && url.pathname.startsWith("/connect/"))
    url.searchParams.set("return_to", returnTo);
  return url.origin === location.origin ? url.pathname + url.search + url.hash : url.href;
}

/** An element that the page's HTML has. @param {string} id @returns {HTMLElement} */
export function spot(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}
