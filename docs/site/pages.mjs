// The pages of the site: the file of each, its address, its title in the navigation, and its description in llms.txt.

export const SECTIONS = [
  {
    text: "Guide",
    pages: [
      ["README.md", "index", "Getting started", "What Edgeward is, the demo, quick starts for the gateway, the npm package and the crate, limitations"],
      ["docs/frameworks.md", "frameworks", "Frameworks", "Recipes for Express, Hono, Next, Workers and others, behind the gateway or with the npm package"],
      ["docs/providers.md", "providers", "Providers", "Recipes for Auth0, Okta, Entra, Cognito, Keycloak, Google and other providers"],
      ["pkg/README.md", "npm", "The npm package", "Installation, options, errors, runtimes, testing, and migration from other libraries"],
      ["docs/operations.md", "operations", "Operations", "Request log, metrics, timing, and observe mode for migrations"],
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
      ["docs/corpus.md", "corpus", "The corpus", "1,800 signed tokens with the verdict on each, and how verifiers agree with it"],
      ["docs/assurance.md", "assurance", "Assurance", "What runs for longer than the tests: commands, dates, figures"],
      ["SECURITY.md", "security", "Security", "Reporting, trust boundaries, failures and their tests"],
      ["CONTRIBUTING.md", "contributing", "Contributing", "Set-up, style, tests, releases"],
      ["CHANGELOG.md", "changelog", "Changelog", "Changes by version"],
    ],
  },
];
