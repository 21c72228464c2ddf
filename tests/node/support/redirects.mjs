// Addresses that lead elsewhere where a URL is read carelessly, and the test of where one leads.

import { cases } from "./vectors.mjs";

const decoded = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return unescape(text);
  }
};

/** Published payloads, as they are. */
export const published = cases("open-redirects").map(({ input }) => input);

/** Payloads: our own for `site`, and the published ones as they are and percent-decoded. */
export const payloads = (site) => [
  ...new Set([
    "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "/\n/evil.example", "/\r/evil.example",
    "/%09/evil.example", "/%2f%2fevil.example", "/%5cevil.example", "/..//evil.example", "/.//evil.example", "/a/..//evil.example",
    "/%2e%2e//evil.example", "/./\\evil.example", "https://evil.example", "HTTPS:evil.example", "https:/evil.example", "javascript:alert(1)",
    "java\nscript:alert(1)", "data:text/html,x", `${site}@evil.example`, `${site}.evil.example`, "@evil.example", "?x=//evil.example",
    "#//evil.example", "/a#//evil.example", "/\u2028/evil.example", "/\uff0fevil.example", "/;@evil.example", "/a?b=\\\\evil.example", "/a\r\nlocation: //evil.example",
    "/" + "a".repeat(5000), "/%", "/%zz", "/%00", "/%ff", "", " /a", "/a b",
    ...published, ...published.map(decoded),
  ]),
];

/** Why a browser on `site` that follows this reference, or another reader of it, is not on the site afterwards; undefined if it is. */
export function leavesSite(location, site) {
  let url;
  try {
    url = new URL(location, site);
  } catch {
    return "no URL";
  }
  if (url.origin !== new URL(site).origin) return `leads to ${url.origin}`;
  if (url.pathname.startsWith("//") || url.pathname.includes("\\")) return `has the path ${url.pathname}`;
  return undefined;
}
