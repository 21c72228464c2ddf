// The pages of the site: the file of each, its address, its title in the navigation, and its description in llms.txt.

export const SECTIONS = [
  {
    text: "Guide",
    pages: [
      ["README.md", "index", "Getting started", "What Edgeward is, the demo, quick starts for the gateway, the npm package and the crate, limitations"],
      ["docs/frameworks.md", "frameworks", "Frameworks", "Recipes for Express, Hono, Next, Workers and others, behind the gateway or with the npm package"],
      ["docs/providers.md", "providers", "Providers", "Recipes for Auth0, Okta, Entra, Cognito, Keycloak, Google and other providers"],
      ["docs/bound-tokens.md", "bound-tokens", "Bound tokens", "Tokens bound to a key of their client (DPoP), or to a client certificate (mutual TLS)"],
      ["docs/fapi.md", "fapi", "Keys, certificates and FAPI", "Client authentication with keys and certificates, pushed and signed requests, the FAPI 2.0 profile"],
      ["pkg/README.md", "npm", "The npm package", "Installation, options, errors, runtimes, testing, and migration from other libraries"],
      ["docs/revocation.md", "revocation", "Revocation", "Back-channel logout, ending sessions and tokens before they expire, opaque tokens, costs and outages"],
      ["docs/upstream.md", "upstream", "Tokens for upstreams", "Client credentials and token exchange for the origins and services behind the gateway"],
      ["docs/step-up.md", "step-up", "Step-up", "Routes that need a stronger or more recent login (RFC 9470)"],
      ["docs/identity.md", "identity", "Identity for origins", "A signed token about the caller for origins and services, and its keys"],
      ["docs/encrypted-tokens.md", "encrypted-tokens", "Encrypted tokens", "Access tokens that are encrypted (JWE): keys, algorithms, rotation"],
      ["docs/organizations.md", "organizations", "Organizations", "Organizations of tokens, routes and hosts; invitations; patterns of origins"],
      ["docs/customer-edge.md", "customer-edge", "Customer edge", "The gateway as the proxy before an Auth0 tenant that authenticates clients by certificates"],
      ["docs/operations.md", "operations", "Operations", "Request log, metrics, timing, the status page, and observe mode for migrations"],
      ["docs/command.md", "command", "The command", "npx edgeward: init, check, explain, keys, verify, and an identity provider for development"],
      ["docs/troubleshooting.md", "troubleshooting", "Error codes", "Every code of responses and log lines, with its cause and remedy"],
    ],
  },
  {
    text: "Reference",
    pages: [
      ["docs/configuration.md", "configuration", "Configuration", "Every key of the gateway's configuration: type, default, meaning"],
      ["docs/forwarding.md", "forwarding", "Forwarding", "What an origin gets of a request, and a client of the answer"],
      ["docs/headers.md", "headers", "Headers", "The headers of clients that are removed"],
      ["docs/paths.md", "paths", "Paths", "How paths are matched and when they are refused as ambiguous"],
      ["docs/pages.md", "pages", "Pages", "The pages that users see: appearance, languages, texts"],
      ["docs/session-format.md", "session-format", "Sessions", "Contents, sealing, cookies, lifetime and refresh of sessions"],
    ],
  },
  {
    text: "Background",
    pages: [
      ["docs/architecture.md", "architecture", "Architecture", "The map of the code, a request and a login followed through it"],
      ["docs/performance.md", "performance", "Performance", "Measurements beside other verifiers, and how to repeat them"],
      ["docs/scale.md", "scale", "Scale", "What one to ten thousand isolates ask of the provider, the edge cache and Durable Objects"],
      ["docs/threat-model.md", "threat-model", "Threat model", "Boundaries, assets, attackers, the operator's part, residual risks"],
      ["docs/requirements.md", "requirements", "Requirements", "The statements of the specifications, and the tests that prove each"],
      ["docs/faults.md", "faults", "Faults", "What happens when something that the gateway depends on fails, and the tests of it"],
      ["docs/corpus.md", "corpus", "The corpus", "1,800 signed tokens with the verdict on each, and how verifiers agree with it"],
      ["docs/assurance.md", "assurance", "Assurance", "What runs for longer than the tests: commands, dates, figures"],
      ["SECURITY.md", "security", "Security", "Reporting, trust boundaries, failures and their tests"],
      ["CONTRIBUTING.md", "contributing", "Contributing", "Set-up, style, tests, releases"],
      ["CHANGELOG.md", "changelog", "Changelog", "Changes by version"],
    ],
  },
];

/** Pages that are not Markdown: the folder of each, its address and its title. */
export const TOOLS = [["docs/site/explain", "explain", "Explain a request"]];

/** A shield. */
export const ICON = `data:image/svg+xml,${encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="#3451b2" d="M8 0 2 2v5c0 4 2.5 7 6 9 3.5-2 6-5 6-9V2z"/></svg>')}`;
