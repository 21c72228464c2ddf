// The pages of the demo site. `user` comes from the gateway's headers; undefined for anonymous requests.

import { html } from "./html.mjs";

const NAVIGATION = [["/", "Start"], ["/account", "Account"], ["/letter", "Letter"], ["/live/", "Live"], ["/admin", "Admin"]];

const page = ({ path, title, user, script }, main) => html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · Edgeward demo</title>
<link rel="icon" href="/assets/icon.svg">
<link rel="stylesheet" href="/assets/site.css">
${script && html`<script type="module" src="${script}"></script>`}
</head>
<body>
<a class="skip button" href="#main">Skip to the content</a>
<header>
<a class="brand" href="/"><img src="/assets/icon.svg" alt="" width="28" height="28">Edgeward</a>
<nav aria-label="Pages"><ul>
${NAVIGATION.map(([to, name]) => html`<li><a href="${to}" ${to === path && html`aria-current="page"`}>${name}</a></li>\n`)}
</ul></nav>
<div class="who">
${user
  ? html`<span id="user">${user.name ?? user.id}</span> <a class="button quiet" href="/logout">Log out</a>`
  : html`<a class="button" href="/login?return_to=${path}">Log in</a>`}
</div>
</header>
<main id="main">
${main}
</main>
<footer>The gateway decides who sees which page, as configured in <code>examples/site/edgeward.json</code>.</footer>
</body>
</html>
`;

export const start = (user) => page({ path: "/", title: "Start", user }, html`
<h1>A site with a guard at the edge</h1>
<p>This page is public. The pages below are protected: the gateway checks who you are before a request reaches this
site.</p>
<p class="soft">${user ? html`You are logged in as ${user.name ?? user.id}.` : "You are not logged in."}</p>
<ul class="cards">
<li class="card"><h2><a href="/account">Your account</a></h2><p>For logged-in users. Shows the claims that the gateway sent to this
site, and calls an API with your session.</p></li>
<li class="card"><h2><a href="/admin">Administration</a></h2><p>For accounts with the role <code>admin</code>. Alice has it, Bob does
not.</p></li>
<li class="card"><h2><a href="/api/items">The API</a></h2><p>For sessions and for bearer tokens with the scope
<code>read:items</code>.</p></li>
<li class="card"><h2><a href="/search?q=caf%C3%A9%20au%20lait&amp;page=2">A deep link</a></h2><p>Followed without a login, it comes back after
it, with its query.</p></li>
<li class="card"><h2><a href="/letter">A form</a></h2><p>Sent after the session has ended, it is not lost.</p></li>
<li class="card"><h2><a href="/live/">Live connections</a></h2><p>Server-sent events and a WebSocket, both behind the guard.</p></li>
</ul>`);

const FACTS = [
  ["Account", (user) => user.id],
  ["Name", (user) => user.name],
  ["Email", (user) => user.email],
  ["Roles", (user) => user.roles.join(", ")],
  ["Scopes", (user) => user.scope],
];

export const account = (user) => page({ path: "/account", title: "Your account", user, script: "/assets/items.js" }, html`
<h1>Hello, ${user.name ?? user.id}</h1>
<p>You are logged in. Your session is in an encrypted cookie that only the gateway can read.</p>
<section class="card" aria-labelledby="facts">
<h2 id="facts">Your claims, from the gateway</h2>
<dl>
${FACTS.map(([name, of]) => html`<dt>${name}</dt><dd>${of(user) || "–"}</dd>\n`)}
</dl>
</section>
<section class="card" aria-labelledby="calls">
<h2 id="calls">An API call with your session</h2>
<p>A script of this page calls <code>/api/items</code>. It holds no token and cannot read the cookie.</p>
<form id="add"><label for="item">New item</label><input id="item" name="item" maxlength="200" autocomplete="off" required>
<button>Add</button><button class="quiet" type="button" id="read">Read the items</button></form>
<p class="status" id="status" role="status"></p>
<ul class="items" id="items"></ul>
</section>`);

export const admin = (user) => page({ path: "/admin", title: "Administration", user }, html`
<h1>Administration</h1>
<p>You see this page because the claim <code>https://example.com/roles</code> of your account lists the role <code>admin</code>. It
lists: ${user.roles.join(", ")}.</p>
<p>Log out and log in as Bob, who does not have this role: the gateway answers 403.</p>`);

export const search = (query, user) => page({ path: "/search", title: "Search", user }, html`
<h1>You followed a deep link</h1>
<p>The query arrives as you asked for it, also if you log in on the way: log out and open this address again to see it.</p>
<section class="card"><dl>${[...query].map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl></section>`);

export const letter = (user, sent) => page({ path: "/letter", title: "Letter", user }, html`
<h1>A letter</h1>
${sent !== undefined && html`<p class="card" id="sent">Sent: ${sent}</p>`}
<p>Write something, <a href="/logout" target="_blank" rel="noopener">log out in another tab</a>, and then send it: the gateway says
what happened, and how to log in without losing the text.</p>
<form method="post" action="/letter"><label for="text">Letter</label><input id="text" name="text" maxlength="200" required>
<button>Send</button></form>`);

export const live = (user) => page({ path: "/live/", title: "Live", user, script: "/assets/live.js" }, html`
<h1>Live connections</h1>
<p>Both were opened with your session; without one, the gateway answers 401.</p>
<section class="card" aria-labelledby="events"><h2 id="events">Server-sent events</h2><p id="event" role="status">Connecting …</p></section>
<section class="card" aria-labelledby="socket"><h2 id="socket">WebSocket</h2><p id="message" role="status">Connecting …</p></section>`);

export const missing = (path, user) => page({ path, title: "Not found", user }, html`
<h1>Page not found</h1>
<p><a class="button" href="/">Go to the start page</a></p>`);
