// `edgeward dev-idp`: the identity provider of `make dev`, as a command. It is the npm package `oidc-provider`, which has many
// dependencies and is of use in development only: projects that need it install it beside this package, which stays without any.

import { DEVELOPMENT_GATEWAY, DEVELOPMENT_PORT, gatewayOrigin } from "./development.js";
import { milliseconds } from "./durations.js";
import { Failure, inLine, UsageError } from "./terminal.js";

export const help = `Runs an OpenID provider on loopback, for development: every login succeeds without a password, and everything is lost when it ends.

Usage: edgeward dev-idp [OPTION ...]

  --port PORT           the port, ${DEVELOPMENT_PORT} by default
  --user ID[:ROLES]     a user, with roles separated by commas; may be repeated; by default alice, an admin and editor, and bob, a viewer
  --audience AUDIENCE   an API for which tokens are issued; may be repeated; https://api.example.com by default
  --scope SCOPE         a scope of the API; may be repeated; by default read:items, write:items and admin:read
  --gateway ORIGIN      an origin whose /auth/callback logins may return to, beside ${DEVELOPMENT_GATEWAY}; may be repeated
  --auth0               behave like Auth0: its paths, its issuer with a closing slash, its claims
  --rotate EVERY        sign with a new key every so often, such as 60s; former keys stay published
  --down AFTER          answer 503 to everything after this time; 0s is from the start
  --clock SHIFT         let the provider's clock be wrong, such as --clock=+2d or --clock=-90s

It needs the package oidc-provider: npm install --save-dev oidc-provider

Examples:
  edgeward dev-idp
  edgeward dev-idp --user carol:admin --scope orders:read --rotate 60s
  npx --package edgeward --package oidc-provider edgeward dev-idp --clock +2d

Exit codes: 0 it was stopped (Ctrl-C), 1 it cannot run, 2 the command line is wrong.
`;

export const options = {
  "port": { type: "string" },
  "user": { type: "string", multiple: true },
  "audience": { type: "string", multiple: true },
  "scope": { type: "string", multiple: true },
  "gateway": { type: "string", multiple: true },
  "auth0": { type: "boolean" },
  "rotate": { type: "string" },
  "down": { type: "string" },
  "clock": { type: "string" },
};
export const maxArguments = 0;

/** The algorithms that have a key from the start. */
const ALGORITHMS = ["RS256", "PS256", "ES256"];
const ENDPOINTS = ["jwks", "discovery", "authorization", "token", "userinfo", "end_session", "revocation", "pushed_authorization_request"];

export async function run(values, _, terminal) {
  const port = values.port === undefined ? DEVELOPMENT_PORT : Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new UsageError(`--port: ${JSON.stringify(inLine(values.port))} is not a port`);
  const users = values.user?.map(parseUser);
  const rotateMs = values.rotate === undefined ? 0 : milliseconds("--rotate", values.rotate);
  if (values.rotate !== undefined && rotateMs === 0) throw new UsageError("--rotate: must be at least 1s");
  const downMs = values.down === undefined ? undefined : milliseconds("--down", values.down);
  if (values.clock !== undefined) shiftClock(milliseconds("--clock", values.clock, true));
  const gateways = (values.gateway ?? []).map(gatewayOrigin);

  const { clientFor, CLIENT_SECRET, ROLES_CLAIM, startProvider } = await terminal.during("starting the provider", loadProvider);
  const provider = await startProvider({
    port, dialect: values.auth0 ? "auth0" : "standard", algs: ALGORITHMS.filter((alg) => alg !== "ES256"),
    ...(values.audience === undefined ? {} : { audiences: values.audience }),
    ...(values.scope === undefined ? {} : { scopes: values.scope }),
    gateways: [DEVELOPMENT_GATEWAY, ...gateways],
    ...(users === undefined ? {} : { accounts: Object.fromEntries(users.map(({ id, roles }) => [id, { name: id, email: `${id}@example.com`, email_verified: true, [ROLES_CLAIM]: roles }])) }),
  }).catch((error) => {
    throw new Failure(error.code === "EADDRINUSE" ? `port ${port} is taken: choose another one with --port` : `the provider cannot start: ${error.message}`);
  });
  provider.setClient(clientFor("ES256"), { grant_types: ["client_credentials"], redirect_uris: [], response_types: [], alg: "ES256" });
  if (rotateMs > 0) {
    setInterval(async () => terminal.print(`signing RS256 with a new key: ${await provider.rotate({ alg: "RS256" })}\n`), rotateMs);
  }
  if (downMs !== undefined) setTimeout(() => takeDown(provider, terminal), downMs);
  terminal.print(`An identity provider for development is running. Ctrl-C stops it.

  issuer         ${provider.issuer}
  audience       ${provider.audience}
  client id      edgeward-web
  client secret  ${CLIENT_SECRET} (the same everywhere: it protects nothing)
  roles claim    ${ROLES_CLAIM}

A token: edgeward token --issuer ${provider.issuer}
`);
  await new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, resolve);
  });
  await provider.stop();
  return 0;
}

async function loadProvider() {
  try {
    return await import("../../../tests/node/support/provider.mjs");
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new Failure("dev-idp needs the package oidc-provider, which is not installed: npm install --save-dev oidc-provider, or npx --package edgeward --package oidc-provider edgeward dev-idp");
  }
}

function parseUser(text) {
  const [, id, roles = ""] = /^([\w.@|-]+)(?::(.*))?$/.exec(text) ?? [];
  if (id === undefined || id === "__proto__") throw new UsageError(`--user: ${JSON.stringify(inLine(text))} is not a user, such as carol or carol:admin,editor`);
  return { id, roles: roles.split(",").filter(Boolean) };
}

/** Lets every clock in this process be wrong. */
function shiftClock(byMs) {
  const Original = globalThis.Date;
  globalThis.Date = class Date extends Original {
    constructor(...parts) {
      if (parts.length === 0) super(Original.now() + byMs);
      else super(...parts);
    }

    static now() {
      return Original.now() + byMs;
    }
  };
}

function takeDown(provider, terminal) {
  for (const endpoint of ENDPOINTS) provider.setFault(endpoint, { status: 503, body: '{"error":"temporarily_unavailable"}' });
  terminal.print("down: every request is answered 503\n");
}
