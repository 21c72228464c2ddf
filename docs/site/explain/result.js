// How an explanation is shown. Every text is set as text: nothing in it is markup.

/** Makes an element with attributes and children. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children.flat());
  return made;
}

const code = (text) => element("code", {}, text);
const section = (title, ...children) => element("section", {}, element("h3", {}, title), ...children);
const row = (...cells) => element("tr", {}, cells.map((cell) => element("td", {}, cell)));
const table = (heads, rows) => element("table", {}, element("thead", {}, element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head)))), element("tbody", {}, rows));
/** Prints values as JSON in a part that opens on demand. */
const details = (title, value, ...more) => element("details", {}, element("summary", {}, title), ...more, element("pre", { tabindex: "0" }, JSON.stringify(value, null, 2)));

function banner(kind, title, ...more) {
  return element("div", { class: `banner ${kind}` }, element("strong", {}, title), ...more.filter(Boolean).map((one) => element("p", {}, one)));
}

export function showNothing(output) {
  output.replaceChildren(element("p", { class: "hint" }, "Paste a configuration, or choose an example: the explanation follows as you type."));
}

export function showError(output, error) {
  const isMistake = error.name === "Error" || error instanceof SyntaxError;
  output.replaceChildren(banner("unknown", "Not explained", isMistake ? error.message : `This browser cannot run the page: ${error.message}`));
}

/** `goTo` shows a line and a column of the configuration. */
export function show(output, { problems, result, ...more }, goTo) {
  const errors = problems.filter(({ isError }) => isError);
  if (result === undefined) {
    const title = `503: the configuration has ${errors.length} error${errors.length === 1 ? "" : "s"}`;
    output.replaceChildren(banner("refused", title, "Every request is answered like this until they are fixed."), listOf(problems, goTo));
    return;
  }
  const { readings, route, checks, verdict } = result;
  output.replaceChildren(
    ...[
      verdictOf(result, more),
      more.missing.length > 0 && missingKeys(more.missing),
      problems.length > 0 && section("Configuration", listOf(problems, goTo)),
      readings.length > 0 && section("Path", readingsOf(readings)),
      route !== undefined && section("Route", element("p", {}, code(route.path), `: auth ${route.auth}, credentials ${route.credentials}, integration ${route.integration}${route.observe ? ", only observes" : ""}`)),
      checks.length > 0 && section("Checks", element("ol", { class: "checks" }, checks.map(checkOf))),
      headersOf(verdict),
      more.hasUsedKeys && usedKeys(more.keys),
      more.token && tokenOf(more.token, more.now),
      details("As JSON, as the command prints it with --reveal", result),
    ].filter(Boolean),
  );
}

function listOf(problems, goTo) {
  return element("ul", { class: "problems" }, problems.map(({ path, message, isError, line, column }) => {
    const kind = element("span", { class: isError ? "error" : "warning" }, isError ? "error" : "warning");
    const text = [kind, " ", path === "" ? "" : code(path), path === "" ? "" : ": ", message];
    if (line === null) return element("li", {}, text);
    const place = element("button", { type: "button", class: "place", title: "Show it in the configuration" }, `line ${line}, column ${column}`);
    place.addEventListener("click", () => goTo(line, column));
    return element("li", {}, place, " ", text);
  }));
}

/** Text fragments are ignored by browsers that do not have them. */
const explained = (name) => element("a", { href: `troubleshooting.html#:~:text=${encodeURIComponent(name).replaceAll("-", "%2D")}` }, code(name));

function verdictOf({ checks, verdict }, { passes }) {
  const observed = verdict.observed === undefined ? undefined : element("span", {}, "The route only observes: ", explained(verdict.observed), " would have been refused.");
  if (verdict.undecided) return banner("unknown", "Undecided: the token cannot be checked without the key set");
  if (verdict.asksProvider) return banner("unknown", "The gateway would ask the provider", "For a login step, userinfo, an opaque token, a token for an upstream, or a session that is due, the explanation ends here.");
  if (verdict.forwarded) {
    const to = [verdict.binding === undefined ? "to " : element("span", {}, "to the service ", code(verdict.binding), ", "), code(verdict.url)];
    return banner(observed ? "unknown" : "passed", "Forwarded", element("span", {}, to), observed);
  }
  const failed = checks.find(({ passed }) => passed === false);
  if (verdict.status >= 400) return banner("refused", `Refused with status ${verdict.status}`, verdict.code && explained(verdict.code), verdict.detail, observed);
  if (!passes && failed?.code === "login_required") return banner("refused", `Sent to the login with status ${verdict.status}`, failed.message);
  return banner(observed ? "unknown" : "passed", `Answered by the gateway with status ${verdict.status}`, observed);
}

function missingKeys(urls) {
  return section("Not checked", element("p", {}, "The signature, and with it every claim and right of the token. Paste the key set of its issuer; the gateway would start at"), element("ul", {}, urls.map((url) => element("li", {}, code(url)))));
}

function usedKeys(unusable) {
  const reasons = unusable.map(({ kid, reason }) => element("li", {}, kid === undefined ? "A key without kid" : element("span", {}, "The key ", code(String(kid))), ` cannot be used: ${reason}.`));
  return section("Key set", reasons.length > 0 ? element("ul", {}, reasons) : "", element("p", {}, "Not checked: whether the issuer publishes it."));
}

function readingsOf(readings) {
  return table(["Read as", "Route"], readings.map(({ path, isMain, routes }) => {
    const matched = routes.length === 0 ? "no single route" : routes.flatMap((one, index) => [index === 0 ? "" : " or ", one === null ? "no route" : code(one)]);
    return row([code(path), isMain && readings.length > 1 ? " (decides)" : ""], matched);
  }));
}

function checkOf({ name, passed, undecided, expected, found, code: reason, message }) {
  const value = (title, text) => (text ? element("div", { class: "value" }, element("span", {}, title), code(text)) : "");
  const outcome = undecided ? "open" : passed ? "passed" : "failed";
  return element("li", { class: outcome },
    element("div", {}, element("strong", {}, name), " ", element("span", { class: "mark" }, outcome)),
    passed !== false ? "" : element("div", {}, explained(reason), message ? `: ${message}` : ""),
    value("expected", expected), value("found", TIMES.includes(name) && /^\d{1,12}$/.test(found) ? `${found} (${date(found)})` : found));
}

function headersOf({ forwarded, undecided, asksProvider, headers, dropped = [] }) {
  if (undecided || asksProvider) return undefined;
  const without = dropped.length > 0 ? element("p", {}, "Dropped: ", dropped.flatMap((name, index) => [index === 0 ? "" : ", ", code(name)])) : "";
  const all = headers.length > 0 ? table(["Name", "Value"], headers.map(([name, value]) => row(code(name), code(value)))) : element("p", {}, "none");
  return section(forwarded ? "Headers sent on" : "Headers of the response", all, without);
}

const TIMES = ["iat", "nbf", "exp", "auth_time"];
const date = (seconds) => new Date(seconds * 1_000).toISOString().replace(".000Z", "Z");

function tokenOf({ header, claims }, now) {
  const times = TIMES.filter((name) => Number.isFinite(claims?.[name]) && Math.abs(claims[name]) < 8e12);
  const list = times.map((name) => element("li", {}, code(name), ` ${date(claims[name])}, ${distance(claims[name] * 1_000 - now)}`));
  return details("The token, decoded: what it states, whether genuine or not", { header, claims }, element("ul", {}, list));
}

function distance(millis) {
  const seconds = Math.round(Math.abs(millis) / 1_000);
  const [unit, size] = [["days", 86_400], ["hours", 3_600], ["minutes", 60], ["seconds", 1]].find(([, size]) => seconds >= 2 * size) ?? ["seconds", 1];
  const amount = `${Math.floor(seconds / size)} ${unit}`;
  return millis < 0 ? `${amount} ago` : `in ${amount}`;
}
