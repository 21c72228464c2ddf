// The commands around tokens, as installed: `dev-idp`, `token`, `keys` and `verify`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { serve } from "../node/support/http.mjs";
import { startProvider } from "../node/support/provider.mjs";
import { installCommand, start } from "./command.mjs";
import { root } from "./install.mjs";
import { SignJWT, exportJWK, generateKeyPair } from "jose";

const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const AUDIENCE = "https://api.example.com";

let command;
before(async () => {
  command = await installCommand([`oidc-provider@${devDependencies["oidc-provider"]}`]);
});
after(() => command.remove());

/** Runs a provider while `work` does. */
async function withProvider(args, work) {
  const provider = start(command.script, ["dev-idp", "--port", "0", ...args], { cwd: command.folder });
  try {
    const issuer = await new Promise((resolve, reject) => {
      provider.child.stdout.on("data", () => {
        const [, found] = /issuer +(\S+)\n[^]*A token: /.exec(provider.stdout) ?? [];
        if (found !== undefined) resolve(found);
      });
      provider.exited.then((code) => reject(new Error(`dev-idp ended with ${code}: ${provider.stderr}`)));
    });
    await work(issuer, provider);
  } finally {
    provider.child.kill("SIGINT");
  }
  assert.equal(await provider.exited, 0, provider.stderr);
}

const mint = async (issuer, ...args) => {
  const { code, stdout, stderr } = await command.run(["token", "--issuer", issuer, ...args]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  return stdout.trim();
};
const failure = async (running) => {
  const { code, stdout, stderr } = await running;
  assert.equal(stdout, "");
  return [code, stderr];
};
const verify = async (token, ...args) => {
  const { code, stdout } = await command.run(["verify", "--json", ...args], { input: token });
  const result = JSON.parse(stdout);
  assert.equal(code, result.valid ? 0 : 1);
  assert.ok(!stdout.includes(token.split(".").at(-1).trim()) || token.length < 20, "no signature is printed");
  return result;
};

describe("the provider for development", () => {
  it("gives tokens of every algorithm, to services and users, that verify; and publishes the keys", async () => {
    await withProvider(["--user", "carol:admin,editor", "--scope", "orders:read", "--audience", "urn:orders", "--gateway", "http://localhost:9999"], async (issuer) => {
      const accepted = ["--issuer", issuer, "--audience", "urn:orders"];
      for (const algorithm of ["RS256", "PS256", "ES256"]) {
        const { valid, header } = await verify(await mint(issuer, "--audience", "urn:orders", "--algorithm", algorithm), ...accepted);
        assert.deepEqual([valid, header.alg], [true, algorithm]);
      }
      const token = await mint(issuer, "--audience", "urn:orders", "--user", "carol", "--scope", "orders:read");
      const { payload } = await verify(token, ...accepted, "--scope", "orders:read", "--claim", "sub=carol");
      assert.deepEqual([payload.sub, payload.scope, payload["https://example.com/roles"]], ["carol", "orders:read", ["admin", "editor"]]);
      const idToken = await mint(issuer, "--audience", "urn:orders", "--user", "carol", "--id-token");
      assert.equal((await verify(idToken, "--id-token", "--issuer", issuer, "--client-id", "edgeward-web")).payload.sub, "carol");

      for (const [text, args, code] of [
        [token, ["--issuer", issuer, "--audience", "urn:other"], "audience_mismatch"],
        [token, [...accepted, "--scope", "orders:write"], "insufficient_scope"],
        [token, [...accepted, "--claim", "sub=dave"], "claim_not_allowed"],
        [token, [...accepted, "--algorithm", "PS256"], "alg_not_allowed"],
        [`${token.slice(0, -20)}${"A".repeat(20)}`, accepted, "signature_invalid"],
        [idToken, accepted, "audience_mismatch"],
        ["Bearer", accepted, "token_malformed"],
        ["", accepted, "token_malformed"],
      ]) {
        const result = await verify(text, ...args);
        assert.ok(!result.valid);
        assert.equal(typeof result.message, "string");
        assert.equal(result.code, code, JSON.stringify(result));
      }
      const { code, stdout } = await command.run(["verify", ...accepted, token]);
      assert.equal(code, 0);
      assert.match(stdout, /^valid: signed by "rs256-\w+" with RS256\n(?: {2}.*\n)*/);

      const keys = JSON.parse((await command.run(["keys", "--json", issuer])).stdout);
      assert.deepEqual([keys.usable, keys.keys.map(({ alg, size, unusable }) => [alg, size, unusable])], [3, [["ES256", "P-256", null], ["RS256", 2048, null], ["PS256", 2048, null]]]);
    });
  });

  it("refuses a login in its own words, which token shows, as it warns of scopes that were not granted", async () => {
    // The provider of a project whose gateway has a port of its own: `dev-idp` knows localhost:8787 in addition.
    const provider = await startProvider({ gateways: ["http://localhost:9001"] });
    try {
      const token = (...args) => command.run(["token", "--issuer", provider.issuer, ...args]);
      const refused = "edgeward: the provider refuses the login: invalid_redirect_uri: redirect_uri did not match any of the client's registered redirect_uris; it knows no gateway at";
      assert.deepEqual(await failure(token("--user", "alice", "--id-token")), [1, `${refused} http://localhost:8787: name one that it knows by --gateway\n`]);
      assert.deepEqual(await failure(token("--user", "alice", "--gateway", "http://localhost:9002/x")), [1, `${refused} http://localhost:9002: name one that it knows by --gateway\n`]);
      const known = ["--user", "alice", "--gateway", "http://localhost:9001"];
      assert.deepEqual(await failure(token(...known, "--audience", "x")), [1, "edgeward: the provider refuses the login: invalid_target: resource indicator must be an absolute URI\n"]);
      assert.deepEqual(await failure(token("--audience", "x")), [1, "edgeward: the provider refuses: invalid_target: resource indicator must be an absolute URI\n"]);
      for (const kind of [[], known]) {
        const complete = await token(...kind, "--scope", "read:items", "--scope", "write:items");
        assert.deepEqual([complete.code, complete.stderr], [0, ""]);
        for (const [scope, lacking] of [["nope", "nope"], ["read:items nope other", "nope, other"]]) {
          const { code, stdout, stderr } = await token(...kind, "--scope", scope);
          // The token is what was asked for, and scripts read it; that it grants less, a person must see.
          assert.deepEqual([code, stderr], [0, `edgeward: warning: the token lacks the scope ${lacking}: the provider does not grant it; see "edgeward dev-idp --help", --scope\n`]);
          assert.match(stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
        }
      }
      const login = await token(...known, "--id-token", "--scope", "openid profile email offline_access");
      assert.deepEqual([login.code, login.stderr], [0, ""]);
    } finally {
      await provider.stop();
    }
  });

  it("is an answer of its own for programs and for browsers, where it shows an error", async () => {
    const provider = await startProvider({ gateways: ["http://localhost:9001"] });
    try {
      for (const [accept, type] of [["text/html,*/*;q=0.8", /^text\/html/], ["*/*", /^text\/html/], ["application/json", /^application\/json/]]) {
        const response = await fetch(`${provider.issuer}/auth?client_id=edgeward-web&response_type=code&redirect_uri=http://localhost:1/auth/callback&scope=openid`, { headers: { accept } });
        assert.deepEqual([response.status, type.test(response.headers.get("content-type"))], [400, true]);
        assert.match(await response.text(), /invalid_redirect_uri/);
      }
    } finally {
      await provider.stop();
    }
  });

  it("rotates its keys, goes down, and has a clock that is wrong, on request", async () => {
    await withProvider(["--rotate", "1s"], async (issuer, provider) => {
      const before = await mint(issuer);
      while (!/with a new key: rs256-\w+\n/.test(provider.stdout)) await new Promise((resolve) => setTimeout(resolve, 50));
      const kid = (token) => JSON.parse(Buffer.from(token.split(".")[0], "base64url")).kid;
      assert.notEqual(kid(await mint(issuer)), kid(before));
      assert.ok((await verify(before, "--issuer", issuer, "--audience", AUDIENCE)).valid, "the former key is still published");
    });
    await withProvider(["--down", "0s"], async (issuer) => {
      for (const args of [["keys", issuer], ["token", "--issuer", issuer]]) {
        const { code, stderr } = await command.run(args);
        assert.deepEqual([code, /openid-configuration answers 503/.test(stderr)], [1, true], stderr);
      }
      const result = await verify("eyJhbGciOiJSUzI1NiJ9.e30.AAAA", "--issuer", issuer, "--audience", AUDIENCE);
      // Neither valid nor not: nothing could be verified.
      assert.deepEqual([result.valid, result.code], [null, "discovery_unreachable"]);
      assert.match(result.reason, /answered 503$/);
    });
    await withProvider(["--clock", "+2d", "--auth0"], async (issuer) => {
      assert.match(issuer, /\/$/);
      const { code, claim } = await verify(await mint(issuer), "--issuer", issuer, "--audience", AUDIENCE);
      assert.deepEqual([code, claim], ["token_issued_in_future", "iat"]);
    });
    await withProvider(["--clock=-2d"], async (issuer) => {
      assert.equal((await verify(await mint(issuer), "--issuer", issuer, "--audience", AUDIENCE)).code, "token_expired");
    });
  });

  it("says what is wrong with its options, and if its port is taken", async () => {
    for (const args of [["--port", "x"], ["--rotate", "5"], ["--rotate", "0s"], ["--down", "-1s"], ["--down", "99d"], ["--clock", "soon"], ["--user", ":"], ["--gateway", "localhost"], ["extra"]]) {
      const { code, stderr } = await command.run(["dev-idp", ...args]);
      assert.deepEqual([code, stderr.split("\n").length], [2, 2], stderr);
    }
    const taken = await serve((_req, res) => res.end());
    try {
      const { code, stderr } = await command.run(["dev-idp", "--port", String(taken.port)]);
      assert.deepEqual([code, stderr], [1, `edgeward: port ${taken.port} is taken: choose another one with --port\n`]);
    } finally {
      await taken.close();
    }
  });
});

describe("keys", () => {
  it("tells why each key cannot be used, and prints nothing else of it", async () => {
    const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
    const [good, secret] = [await exportJWK(publicKey), await exportJWK(privateKey)];
    const keys = [{ ...good, kid: "good", alg: "RS256" }, { ...good, kid: "enc", use: "enc" }, { kty: "oct", k: "c2VjcmV0", kid: "\u001b[2J" }, { ...secret, kid: "private" }, 5, { kty: "EC", crv: "secp256k1", x: "AA", y: "AA" }];
    let body = JSON.stringify({ keys });
    let status = 200;
    const server = await serve((_req, res) => res.writeHead(status).end(body));
    try {
      const list = () => command.run(["keys", "--jwks-uri", `${server.url}/jwks`]);
      const { code, stdout } = await list();
      assert.equal(code, 0);
      const lines = stdout.trimEnd().split("\n");
      assert.deepEqual(lines.slice(1, -1).map((line) => line.replace(/ +/g, " ")), [
        "good RSA RS256 – 2048 usable",
        "enc RSA – enc 2048 not usable: key is not for signatures",
        "\ufffd[2J oct – – – not usable: key type is not supported",
        "private RSA – – 2048 not usable: key has private members",
        "– – – – – not usable: key is not a JSON object",
        "– EC – – secp256k1 not usable: key is on a curve that is not supported",
      ]);
      assert.equal(lines.at(-1), "1 of 6 keys can be used");
      for (const part of [secret.d, "c2VjcmV0"]) assert.ok(!stdout.includes(part));
      for (const [text, message] of [
        ['{"keys":[]}', ""], ["{}", "is not a key set"], ["<html>", "is not a key set"], ['{"keys":[{"kty":"oct"}]}', ""], ['{"keys":1}', "is not a key set"], ['{"keys":[],"keys":[]}', "is not a key set"],
      ]) {
        body = text;
        const refused = await list();
        assert.equal(refused.code, 1, text);
        assert.ok(refused.stderr.includes(message), text);
      }
      status = 404;
      assert.match((await list()).stderr, /cannot be fetched: status 404/);
    } finally {
      await server.close();
    }
    assert.match((await command.run(["keys", "http://127.0.0.1:1"])).stderr, /^edgeward: .*cannot be fetched: .*\n$/);
    for (const args of [[], ["x"], ["http://a", "--jwks-uri", "http://b"]]) assert.equal((await command.run(["keys", ...args])).code, 2);
  });
});

describe("verify", () => {
  it("needs an issuer, and an audience or a client", async () => {
    for (const args of [[], ["--issuer", "https://i.example"], ["--issuer", "x", "--audience", "a"], ["--id-token", "--issuer", "https://i.example"], ["--audience", "a"],
      ["--issuer", "https://i.example", "--audience", "a", "--algorithm", "HS256"], ["--issuer", "https://i.example", "--audience", "a", "--claim", "x"]]) {
      const { code, stderr } = await command.run(["verify", ...args], { input: "a.b.c" });
      assert.deepEqual([code, stderr.split("\n").length], [2, 2], stderr);
    }
  });

  it("shows what a forged token claims as text only", async () => {
    const { privateKey } = await generateKeyPair("RS256");
    const token = await new SignJWT({}).setProtectedHeader({ alg: "RS256" }).setIssuer("\u001b[2Jhttps://evil.example").setExpirationTime("1h").sign(privateKey);
    const server = await serve((_req, res) => res.end('{"keys":[]}'));
    try {
      const { code, stdout } = await command.run(["verify", "--issuer", "https://i.example", "--audience", "a", "--jwks-uri", server.url, token]);
      assert.equal(code, 1);
      assert.match(stdout, /^cannot be verified: jwks_no_usable_key: /);
      // eslint-disable-next-line no-control-regex
      assert.doesNotMatch(stdout, /\u001b/);
    } finally {
      await server.close();
    }
  });
});

it("verify judges a token only by keys that it has, and says why it has none", async () => {
  const { publicKey, privateKey } = await generateKeyPair("RS256");
  let answer;
  const server = await serve((req, res) => {
    const { status = 200, body, jwks } = answer;
    res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(req.url === "/jwks" ? jwks : body));
  });
  const issuer = server.url;
  try {
    const token = await new SignJWT({}).setProtectedHeader({ alg: "RS256", kid: "a" }).setIssuer(issuer).setAudience("b").setExpirationTime("1h").sign(privateKey);
    const good = { issuer, jwks_uri: `${issuer}/jwks` };
    const key = { ...(await exportJWK(publicKey)), kid: "a", alg: "RS256" };
    const unverified = (code, message, reason) => [null, `cannot be verified: ${code}: ${message}\n  reason: ${reason}\n`];
    const invalid = "the issuer's discovery document is not valid";
    for (const [given, [valid, output]] of [
      [{ body: { ...good, issuer: "https://other.example/" } }, unverified("discovery_issuer_mismatch", "the discovery document names another issuer than the configured one", 'document names the issuer "https://other.example/"')],
      [{ body: { issuer } }, unverified("discovery_invalid", invalid, 'document names no acceptable "jwks_uri"')],
      [{ body: [] }, unverified("discovery_invalid", invalid, "document is not a strict JSON object")],
      [{ status: 500 }, unverified("discovery_unreachable", "the issuer's discovery document cannot be fetched", `${issuer}/.well-known/openid-configuration answered 500`)],
      [{ body: good, jwks: {} }, unverified("jwks_invalid", "the issuer's key set is not a valid JWKS document", 'key set has no array "keys"')],
      [{ body: good, jwks: { keys: [key] } }, [false, 'not valid: audience_mismatch: *\n']],
      [{ body: good, jwks: { keys: [{ ...key, kid: "b" }] } }, [false, "not valid: key_not_found: *\n"]],
    ]) {
      answer = given;
      const args = ["--issuer", issuer, "--audience", "a"];
      const { code, stdout } = await command.run(["verify", ...args, token]);
      assert.equal(code, 1);
      if (valid === null) assert.equal(stdout, output);
      else assert.ok(stdout.startsWith(output.split("*")[0]), stdout);
      const result = await verify(token, ...args);
      assert.deepEqual([result.valid, result.reason === undefined], [valid, valid === false]);
    }
  } finally {
    await server.close();
  }
});

it("token asks providers on loopback only", async () => {
  for (const args of [["--issuer", "https://login.example.com"], ["--issuer", "x"], ["--id-token"], ["--algorithm", "HS256"], ["--user", "a", "--algorithm", "PS256"], ["--gateway", "http://localhost:1"], ["--user", "a", "--gateway", "x"]]) {
    assert.equal((await command.run(["token", ...args])).code, 2, args.join(" "));
  }
});

it("token shows a provider's error as text only, whatever form it has", async () => {
  let error;
  const server = await serve((req, res) => {
    const issuer = `http://${req.headers.host}`;
    const discovery = { issuer, authorization_endpoint: `${issuer}/auth`, token_endpoint: `${issuer}/token` };
    if (req.url.startsWith("/.well-known/")) res.end(JSON.stringify(discovery));
    else res.writeHead(400).end(error);
  });
  try {
    for (const [text, shown] of [
      ['{"error":"a\\u001b[2J","error_description":"b\\nc\\u202e"}', "a\ufffd[2J: b c\ufffd"], ['{"error":{},"error_description":5}', "status 400"], ["null", "status 400"], ["[]", "status 400"], ["<html>", "status 400"],
      [JSON.stringify({ error: "x".repeat(9_999) }), "x".repeat(500)],
    ]) {
      error = text;
      const issuer = ["--issuer", server.url];
      assert.deepEqual(await failure(command.run(["token", ...issuer])), [1, `edgeward: the provider refuses: ${shown}\n`]);
      assert.deepEqual(await failure(command.run(["token", ...issuer, "--user", "a"])), [1, `edgeward: the provider refuses the login: ${shown}\n`]);
    }
  } finally {
    await server.close();
  }
});

it("token names the provider where there is none, or something else", async () => {
  const other = await serve((_req, res) => res.end("<html>"));
  try {
    for (const [issuer, problem] of [["http://127.0.0.1:1", "cannot be fetched: .*"], [other.url, "is not JSON"]]) {
      const [code, stderr] = await failure(command.run(["token", "--issuer", issuer]));
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`^edgeward: .*/openid-configuration ${problem}; "edgeward dev-idp" runs the provider, and --issuer says where it is\n$`));
    }
  } finally {
    await other.close();
  }
});
