// `edgeward init`: a Worker project with the gateway, for a site with a login or for an API.

import { randomBytes } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { core } from "./core.js";
import { DEVELOPMENT_CLIENT, DEVELOPMENT_GATEWAY as LOCAL, DEVELOPMENT_ISSUER } from "./development.js";
import { dependenciesOf, isInstalled, ownSpecifier, readManifest } from "./specifier.js";
import { Failure, inLine, UsageError } from "./terminal.js";

/**
 * The providers: what identifies a tenant, and where its application is registered. Access tokens of some name the client, and no API;
 * some are for sites only, or for APIs only.
 */
const PROVIDERS = {
  auth0: { asks: "domain", example: "tenant.us.auth0.com", client: "a Regular Web Application", callback: "Allowed Callback URLs", logout: "Allowed Logout URLs" },
  okta: { asks: "domain", example: "example.okta.com", client: "an OIDC web application", callback: "Sign-in redirect URIs", logout: "Sign-out redirect URIs", hasAudience: true },
  entra: { asks: "issuer", example: "https://login.microsoftonline.com/TENANT-ID/v2.0", client: "an app registration with the platform Web", callback: "Redirect URIs", logout: "Redirect URIs" },
  cognito: { asks: "issuer", example: "https://cognito-idp.REGION.amazonaws.com/POOL-ID", client: "a confidential app client", callback: "Allowed callback URLs", logout: "Allowed sign-out URLs", namesClients: true },
  keycloak: { asks: "issuer", example: "https://sso.example.com/realms/main", client: "a confidential client", callback: "Valid redirect URIs", logout: "Valid post logout redirect URIs" },
  zitadel: { asks: "domain", example: "example.zitadel.cloud", client: "a web application with the method CODE or POST", callback: "Redirect URIs", logout: "Post Logout URIs", siteNote: 'Its ID tokens also name the project. In edgeward.json, add to "authorizer": "trusted_audiences": "the project\'s id".' },
  clerk: { asks: "domain", example: "clerk.example.com", client: "an OAuth application", callback: "Redirect URIs", namesClients: true },
  google: { client: "an OAuth client of the type Web application", callback: "Authorized redirect URIs", isFor: "site", siteNote: 'Anyone can have an account. In edgeward.json, restrict routes: "claims": { "hd": "example.com" }.' },
  supabase: { asks: "domain", example: "abcdefgh.supabase.co", isFor: "api", audience: "authenticated" },
  workos: { asks: "client-id", example: "client_01", isFor: "api" },
  firebase: { isFor: "api" },
  cloudflare_access: { asks: "domain", example: "team.cloudflareaccess.com", isFor: "api" },
  github_actions: { asks: "repository", example: "octo-org/app", isFor: "api" },
  oidc: { asks: "issuer", example: "https://login.example.com", client: "a confidential client", callback: "redirect URIs", logout: "post-logout redirect URIs" },
  dev: {},
};
const LOCAL_ORIGIN = "http://localhost:3000";

export const help = `Writes a Worker project with the gateway into a folder: edgeward.json, worker.js, wrangler.toml, .dev.vars with a new secret,
.dev.vars.example, and package.json and .gitignore if there are none. On a terminal, it asks for what no option gives.

Usage: edgeward init --site | --api [OPTION ...] [FOLDER]

  --site                 a site with a login
  --api                  an API that accepts access tokens
  --provider NAME        ${Object.keys(PROVIDERS).join(", ").replace(/, (?=firebase)/, `,\n${" ".repeat(25)}`).replace(/, dev$/, "; or dev, the provider of edgeward dev-idp")}
                         google is for sites only; for APIs only: ${providersFor("api")}
  --domain DOMAIN        the domain of the tenant, such as ${PROVIDERS.auth0.example}; for ${providersAsking("domain")}
  --issuer URL           the issuer; for ${providersAsking("issuer")}
  --audience AUDIENCE    the identifier of the API, as the provider writes it into access tokens; for firebase, the id of the project
  --client-id ID         the client of the login, as registered at the provider; for workos, the application
  --repository NAME      the repository whose workflows may call the API; for github_actions
  --url URL              the site as browsers see it, once deployed; https://app.example.com by default
  --origin URL           the server behind the gateway; ${LOCAL_ORIGIN} by default
  --force                replace files that exist

Examples:
  edgeward init --site --provider auth0 --domain tenant.us.auth0.com --client-id abc123 --url https://app.example.com gateway
  edgeward init --api --provider oidc --issuer https://login.example.com --audience https://api.example.com
  edgeward init --site --provider dev && npm install     then, in two terminals: npx edgeward dev-idp, npx wrangler dev

Exit codes: 0 the files are written, 1 they are not, 2 the command line is wrong.
`;

function providersFor(kind) {
  return Object.keys(PROVIDERS).filter((name) => PROVIDERS[name].isFor === kind).join(", ");
}

function providersAsking(what) {
  return Object.keys(PROVIDERS).filter((name) => PROVIDERS[name].asks === what).join(", ");
}

const text = { type: "string" };
const flag = { type: "boolean" };
export const options = {
  "site": flag, "api": flag, "provider": text, "domain": text, "issuer": text, "audience": text, "client-id": text, "repository": text, "url": text, "origin": text,
  "force": flag,
};
export const maxArguments = 1;

export async function run(values, [folder = "."], terminal) {
  if (values.site && values.api) throw new UsageError("--site and --api exclude each other");
  const project = await complete(values, terminal);
  const files = filesOf(project, folder);
  const existing = Object.keys(files).filter((name) => isTaken(join(folder, name)) && !isKept(folder, name));
  if (existing.length > 0 && !values.force) throw new Failure(`${existing.join(", ")} ${existing.length === 1 ? "exists" : "exist"} already: remove what you do not need, or use --force`);
  check(files);
  write(folder, files, values.force === true, terminal);
  terminal.print(nextSteps(project, folder, terminal));
  return 0;
}

/** Returns all that the files need, asking for what is missing. */
async function complete(values, terminal) {
  const ask = await questions();
  try {
    const answers = { ...values };
    if (!values.site && !values.api) {
      const kind = await ask("a site with a login, or an API (site, api)", "--site or --api", ["site", "api"]);
      answers[kind] = true;
    }
    answers.provider ??= await ask(`the provider (${Object.keys(PROVIDERS).join(", ")})`, "--provider", Object.keys(PROVIDERS));
    const provider = Object.hasOwn(PROVIDERS, answers.provider) ? PROVIDERS[answers.provider] : undefined;
    if (provider === undefined) throw new UsageError(`--provider: must be one of ${Object.keys(PROVIDERS).join(", ")}`);
    if (answers.provider === "dev") {
      Object.assign(answers, { issuer: DEVELOPMENT_ISSUER, audience: answers.audience ?? "https://api.example.com", "client-id": DEVELOPMENT_CLIENT.id });
    } else {
      const { asks, example, isFor } = provider;
      if (isFor !== undefined && !answers[isFor]) throw new UsageError(`--provider: ${answers.provider} is for ${isFor === "site" ? "sites with a login: use --site" : "APIs: use --api"}`);
      const foreign = ["domain", "issuer", "repository"].find((name) => name !== asks && values[name] !== undefined);
      if (foreign !== undefined) throw new UsageError(`--${foreign}: ${answers.provider} takes ${asks === undefined ? "none" : `--${asks}`}`);
      if (asks !== undefined) answers[asks] ??= await ask(`the ${asks}, such as ${example}`, `--${asks}`);
      if (answers.site) answers["client-id"] ??= await ask("the client id", "--client-id");
      // The preset of some has the audience of all their tokens.
      if ((answers.api && provider.audience === undefined) || provider.hasAudience) answers.audience ??= await ask("the audience, the identifier of the API", "--audience");
    }
    for (const name of ["url", "origin"]) answers[name] = origin(name, answers[name] ?? (name === "url" ? "https://app.example.com" : LOCAL_ORIGIN));
    terminal.done();
    return answers;
  } finally {
    ask.close();
  }
}

/** Returns a function that asks on a terminal; elsewhere, a missing option is a mistake. */
async function questions() {
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    const refuse = async (_, option) => {
      throw new UsageError(`${option} is required; see "edgeward init --help"`);
    };
    return Object.assign(refuse, { close() {} });
  }
  const { createInterface } = await import("node:readline");
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  const answers = lines[Symbol.asyncIterator]();
  const ask = async (what, _, choices) => {
    for (;;) {
      lines.setPrompt(`${what}: `);
      lines.prompt();
      const { value, done } = await answers.next();
      if (done) throw new Failure("stopped: nothing was written");
      const answer = value.trim();
      if (answer !== "" && (choices === undefined || choices.includes(answer))) return answer;
    }
  };
  return Object.assign(ask, { close: () => lines.close() });
}

function origin(name, value) {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol) || url.pathname !== "/" || url.search !== "" || url.username !== "") {
    throw new UsageError(`--${name}: ${JSON.stringify(inLine(value))} is not an origin, such as https://app.example.com`);
  }
  return url.origin;
}

/** Files that stay as they are if they exist. */
const OPTIONAL = ["package.json", ".gitignore"];

const isKept = (folder, name) => OPTIONAL.includes(name) && existsSync(join(folder, name));

/** Whether something has this name, be it a link to nothing. */
function isTaken(file) {
  try {
    return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch {
    // Its folder cannot be entered, which is reported when it is to be made.
    return false;
  }
}

/** The packages of a project that serve in development only. */
const developmentPackages = ({ provider }) => ({ wrangler: "^4", ...(provider === "dev" ? { "oidc-provider": "^9" } : {}) });

function filesOf(project, folder) {
  const isSite = project.site === true;
  const secret = project.provider === "dev" ? DEVELOPMENT_CLIENT.secret : "replace-this-with-the-secret-of-your-client";
  const variables = isSite
    ? `SITE=${LOCAL}\nORIGIN=${project.origin}\nCLIENT_SECRET=${secret}\n# It seals the sessions on your computer. The deployed Worker has one of its own.\nSESSION_SECRET=${randomBytes(32).toString("hex")}\n`
    : `ORIGIN=${project.origin}\n`;
  const example = isSite
    ? `SITE=${LOCAL}\nORIGIN=${LOCAL_ORIGIN}\nCLIENT_SECRET=\n# openssl rand -hex 32\nSESSION_SECRET=\n`
    : `ORIGIN=${LOCAL_ORIGIN}\n`;
  return {
    "edgeward.json": `${JSON.stringify(configurationOf(project), null, 2)}\n`,
    "worker.js": isSite ? SITE_WORKER : API_WORKER,
    "wrangler.toml": wranglerToml(project),
    ".dev.vars": `# For development; git ignores this file. It takes precedence over [vars] in wrangler.toml.\n${variables}`,
    ".dev.vars.example": `# Copy this file to .dev.vars, which git ignores, and fill it in.\n${example}`,
    "package.json": `${JSON.stringify({
      name: "edgeward-gateway", private: true, type: "module",
      scripts: { start: "wrangler dev", check: "edgeward check", deploy: "wrangler deploy" },
      dependencies: { edgeward: ownSpecifier(folder) },
      devDependencies: developmentPackages(project),
    }, null, 2)}\n`,
    ".gitignore": "node_modules/\n.wrangler/\n.dev.vars\n",
  };
}

function configurationOf(project) {
  const { provider, site, domain, issuer, audience, repository } = project;
  const authorizer = {
    type: provider === "dev" ? "oidc" : provider,
    ...(domain === undefined ? {} : { domain }),
    ...(issuer === undefined ? {} : { issuer }),
    ...(audience === undefined ? {} : { audience }),
    ...(repository === undefined ? {} : { claims: { repository } }),
    ...(provider === "workos" ? { client_id: project["client-id"] } : {}),
    ...(site && audience === undefined && PROVIDERS[provider].namesClients ? { clients: [project["client-id"]] } : {}),
    ...(site ? {
      client_id: project["client-id"], client_secret: "$secrets.CLIENT_SECRET", redirect_uri: "$env.SITE/auth/callback", scope: "openid profile email",
    } : {}),
  };
  const headers = { "X-User-Id": "$claims.sub", ...(site ? { "X-User-Email": "$claims.email" } : {}) };
  const proxy = { type: "http_proxy", url: "$env.ORIGIN", headers };
  const route = (method, path, integration, more = {}) => ({ method, path, ...more, integration });
  return {
    $schema: "./node_modules/edgeward/config.schema.json",
    authorizer,
    ...(site ? { session: { secrets: "$secrets.SESSION_SECRET" } } : {}),
    paths: site
      ? [
          route("GET", "/login", { type: "login" }),
          route("GET", "/auth/callback", { type: "callback" }),
          route("GET", "/logout", { type: "logout" }),
          route("GET", "/me", { type: "userinfo" }),
          route("ANY", "/{*rest}", proxy),
        ]
      : [route("GET", "/health", { type: "respond", body: { status: "ok" } }, { auth: "none" }), route("ANY", "/api/{*rest}", proxy)],
  };
}

const API_WORKER = `// The gateway is configured, not programmed: see edgeward.json.
import { gateway } from "edgeward/gateway";
import config from "./edgeward.json";

export default gateway(config);
`;

const SITE_WORKER = `// The gateway is configured, not programmed: see edgeward.json.
import { gateway, sessions } from "edgeward/gateway";
import config from "./edgeward.json";

export default gateway(config);

// Isolates share the refreshes and ends of sessions through this Durable Object.
export class EdgewardSessions extends sessions(config) {}
`;

const wranglerToml = ({ site, url, origin }) => `name = "edgeward-gateway"
main = "worker.js"
compatibility_date = "2026-11-01"
compatibility_flags = ["no_nodejs_compat"]

# For the deployed Worker. Secrets are set by \`npx wrangler secret put NAME\`.
[vars]
${site ? `SITE = ${JSON.stringify(url)}\n` : ""}ORIGIN = ${JSON.stringify(origin)}
${site ? `
[[durable_objects.bindings]]
name = "EDGEWARD_SESSIONS"
class_name = "EdgewardSessions"

[[migrations]]
tag = "v1"
new_sqlite_classes = ["EdgewardSessions"]
` : ""}
[observability]
enabled = true
# Callback URLs carry codes, which do not belong in logs.
redact_query_string = true
`;

/** Refuses a configuration that would not serve, before anything is written. */
function check(files) {
  const variables = Object.fromEntries([...files[".dev.vars"].matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]));
  const problems = JSON.parse(new (core().Configuration)(files["edgeward.json"], (name) => variables[name]).problems());
  const errors = problems.filter(({ isError }) => isError).map(({ path, message }) => `${path}: ${message}`);
  if (errors.length > 0) throw new UsageError(`these values make no configuration: ${errors.join("; ")}`);
}

/** Writes a new file. What has its name is not written through: it may be a link to elsewhere, or readable by others. */
const create = (file, content, options = {}) => writeFileSync(file, content, { ...options, flag: "wx" });

function write(folder, files, isForced, terminal) {
  try {
    mkdirSync(folder, { recursive: true });
    for (const [name, content] of Object.entries(files)) {
      const file = join(folder, name);
      if (!isKept(folder, name)) {
        if (isForced) rmSync(file, { force: true });
        create(file, content, name === ".dev.vars" ? { mode: 0o600 } : {});
        terminal.print(`wrote ${inLine(file)}\n`);
      } else if (name === ".gitignore" && !readFileSync(file, "utf8").split(/\r?\n/).some((line) => /^\/?\.dev\.vars\*?$/.test(line.trim()))) {
        const before = readFileSync(file, "utf8");
        rmSync(file);
        create(file, `${before}${before === "" || before.endsWith("\n") ? "" : "\n"}.dev.vars\n`);
        terminal.print(`added .dev.vars to ${inLine(file)}\n`);
      }
    }
  } catch (error) {
    throw new Failure(`${inLine(error.path ?? folder)} cannot be written: ${error.code ?? "unknown reason"}`);
  }
}

/** A word of a command line, quoted for a shell if it has to be. */
const quoted = (word) => (/^[\w./:@-]+$/.test(word) ? word : `'${inLine(word).replaceAll("'", "'\\''")}'`);

/** Returns the command that installs what the project lacks; undefined if it has all of it. Its package.json may be older than the project. */
function installation(project, folder) {
  const declared = dependenciesOf(readManifest(join(folder, "package.json")));
  const missing = (packages) => Object.entries(packages).filter(([name]) => declared[name] === undefined);
  const own = missing({ edgeward: ownSpecifier(folder) }).map(([, specifier]) => quoted(specifier.startsWith("file:") ? specifier : `edgeward@${specifier}`));
  const development = missing(developmentPackages(project)).map(([name, version]) => `${name}@${version.slice(1)}`);
  const commands = [];
  if (own.length > 0) commands.push(`npm install ${own.join(" ")}`);
  if (development.length > 0) commands.push(`npm install --save-dev ${development.join(" ")}`);
  if (commands.length === 0 && Object.keys({ edgeward: "", ...developmentPackages(project) }).some((name) => !isInstalled(folder, name))) commands.push("npm install");
  return commands.length === 0 ? undefined : commands.join(" && ");
}

function nextSteps(project, folder, terminal) {
  const { provider, site, url } = project;
  const steps = [];
  const { client, callback, logout, siteNote } = PROVIDERS[provider];
  if (site && provider !== "dev") {
    steps.push(`At the provider, register ${client}:
     ${callback}: ${url}/auth/callback and ${LOCAL}/auth/callback${logout === undefined ? "" : `\n     ${logout}: ${url}/ and ${LOCAL}/`}
   and write its secret into .dev.vars as CLIENT_SECRET.`);
  }
  if (site && siteNote !== undefined) steps.push(siteNote);
  const enter = folder === "." ? undefined : `cd ${quoted(folder)}`;
  steps.push([enter, installation(project, folder)].filter(Boolean).join(" && "));
  if (provider === "dev") steps.push("npx edgeward dev-idp    # in another terminal, in the same folder");
  steps.push("npx edgeward check", `npx wrangler dev        # ${LOCAL}`);
  const secrets = site ? "npx wrangler secret put CLIENT_SECRET && openssl rand -hex 32 | npx wrangler secret put SESSION_SECRET && " : "";
  if (provider !== "dev") steps.push(`${secrets}npx wrangler deploy`);
  const numbered = steps.filter(Boolean).map((step, index) => `${index + 1}. ${step}`);
  return `\n${terminal.style("bold", "Next")}\n${numbered.join("\n")}\n`;
}
