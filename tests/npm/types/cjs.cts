import edgeward = require("edgeward");
import express = require("edgeward/express");
import inlined = require("edgeward/inline");
import netlify = require("edgeward/netlify");
import providers = require("edgeward/providers");
import slim = require("edgeward/slim");
import testing = require("edgeward/testing");

const verifier = edgeward.createVerifier({ issuer: "https://a.example/", audience: "b", algorithms: ["RS256"] });
const middleware: express.Middleware = express.bearer({ verifier });
const other: edgeward.Verifier = slim.createVerifier({ issuer: "https://a.example/", audience: "b", algorithms: ["RS256"] });
const wrapped: (event: netlify.NetlifyEvent, context: object) => Promise<netlify.NetlifyResponse> = netlify.withAuth0(
  async (_event: netlify.NetlifyEvent, _context: object) => ({ statusCode: 200, headers: {}, body: "" }),
);
const firebase: edgeward.Verifier = edgeward.createVerifier(providers.firebase({ audience: "my-project" }));
const issuer: Promise<testing.TestIssuer> = testing.createIssuer({ algorithms: ["ES256"] });
void [issuer, firebase, middleware, other, wrapped, inlined.createVerifier];
