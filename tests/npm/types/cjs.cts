import edgeward = require("edgeward");
import express = require("edgeward/express");
import slim = require("edgeward/slim");

const verifier = edgeward.createVerifier({ issuer: "https://a.example/", audience: "b", algorithms: ["RS256"] });
const middleware: express.Middleware = express.bearer({ verifier });
const other: edgeward.Verifier = slim.createVerifier({ issuer: "https://a.example/", audience: "b", algorithms: ["RS256"] });
void [middleware, other];
