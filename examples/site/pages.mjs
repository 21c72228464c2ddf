// The pages of the demo site. `user` is whoever the gateway says is asking, or undefined.

import { html } from "./html.mjs";

const NAVIGATION = [["/", "Start"], ["/account", "Account"], ["/admin", "Admin"]];

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
<footer>The gateway decides who sees which page; <code>edgeward.json</code> tells it how.</footer>
</body>
</html>
`;

export const start = (user) => page({ path: "/", title: "Start", user }, html`
<h1>A site with a guard at the edge</h1>
<p>Everybody may read this page. What is behind the links below is for some people only: the gateway asks who you are before
anything reaches this site.</p>
<p class="soft">${user ? html`You are logged in as ${user.name ?? user.id}.` : "You are not logged in."}</p>
<ul class="cards">
<li class="card"><h2><a href="/account">Your account</a></h2><p>For whoever is logged in. Shows what the gateway told this site about
you, and calls an API with your session.</p></li>
<li class="card"><h2><a href="/admin">Administration</a></h2><p>For accounts with the role <code>admin</code>. Alice has it, Bob does
not.</p></li>
<li class="card"><h2><a href="/api/items">The API</a></h2><p>For sessions and for bearer tokens with the scope
<code>read:items</code>.</p></li>
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
<p>You are logged in. The session is in a sealed cookie that only the gateway can read.</p>
<section class="card" aria-labelledby="facts">
<h2 id="facts">What the gateway says about you</h2>
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
<p>Log out and come back as Bob, who has no such role: the gateway turns him away.</p>`);

export const missing = (path, user) => page({ path, title: "Not found", user }, html`
<h1>There is no such page</h1>
<p><a class="button" href="/">Go to the start page</a></p>`);
