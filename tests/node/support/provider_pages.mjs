// The pages of the local identity provider. They look unlike those of the gateway and of the site: the provider is a different site.

import { createHash } from "node:crypto";

const STYLE = `
:root{color-scheme:light dark;--ink:#221c2b;--soft:#655d70;--back:#f3f0f8;--card:#fff;--line:#ddd6e8;--mark:#6b3fa0}
@media(prefers-color-scheme:dark){:root{--ink:#efebf5;--soft:#aea5bd;--back:#17131d;--card:#211b2a;--line:#3a3247;--mark:#c9a7f5}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;font:1rem/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back)}
main{width:100%;max-width:26rem;min-width:0;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem}
h1{margin:0 0 .5rem;font-size:1.4rem;line-height:1.25}
p{margin:0 0 1.25rem;overflow-wrap:anywhere}
p:last-child{margin:0}
.host{margin-bottom:.25rem;font-size:.85rem;color:var(--soft)}
form{margin:0}
form+form{margin-top:1.25rem;padding-top:1.25rem;border-top:1px solid var(--line)}
button,input{display:block;width:100%;padding:.6rem .9rem;font:inherit;color:inherit;border:1px solid var(--line);border-radius:.5rem}
input{margin:.25rem 0 .6rem;background:var(--back);border-color:var(--soft)}
button{overflow-wrap:anywhere;text-align:left;background:transparent;cursor:pointer}
button+button{margin-top:.6rem}
button:hover{border-color:var(--mark)}
button b{display:block;color:var(--mark)}
button small{color:var(--soft)}
button.plain{text-align:center;font-weight:600;color:var(--mark)}
:focus-visible{outline:3px solid var(--mark);outline-offset:2px}`;

const CHARACTERS = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escapeHtml = (text) => String(text).replace(/[&<>"']/g, (character) => CHARACTERS[character]);

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** A page and the headers it goes with. `title` is text, the rest HTML. */
function page(title, content, script = "") {
  const body = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} · Local identity provider</title><style>${STYLE}</style></head>
<body><main><p class="host">Local identity provider</p><h1>${escapeHtml(title)}</h1>
${content}</main>${script && `<script>${script}</script>`}</body></html>
`;
  const policy = `default-src 'none'; style-src ${hash(STYLE)};${script && ` script-src ${hash(script)};`} base-uri 'none'; frame-ancestors 'none'`;
  return {
    body,
    headers: {
      "content-type": "text/html; charset=utf-8", "content-security-policy": policy, "cache-control": "no-store",
      "referrer-policy": "no-referrer", "x-content-type-options": "nosniff",
    },
  };
}

/** Any account, no password. `accounts`: `{ id, name, about }`. */
export function loginPage(client, accounts) {
  const choices = accounts.map(({ id, name, about }) =>
    `<button name="account" value="${escapeHtml(id)}"><b>Log in as ${escapeHtml(name)}</b><small>${escapeHtml(about)}</small></button>`);
  return page("Log in", `<p><b>${escapeHtml(client)}</b> asks who you are. This provider is for development: there is no password.</p>
<form method="post">
${choices.join("\n")}
</form>
<form method="post"><label for="account">Another account</label><input id="account" name="account" required autocomplete="off" autocapitalize="none" spellcheck="false">
<button class="plain">Log in</button></form>
<form method="post"><button class="plain" name="cancel" value="1">Cancel</button></form>
`);
}

/** Logs out without asking; `form` is the provider's, with the id `op.logoutForm`. */
export const logoutPage = (form) =>
  page("Logging out", `${form}<input type="hidden" form="op.logoutForm" name="logout" value="yes">
<button class="plain" form="op.logoutForm">Log out</button>`, "document.forms[0].submit()");

/** Says something and offers nothing. */
export const noticePage = (title, text) => page(title, `<p>${escapeHtml(text)}</p>`);
