// Tokens that must be refused, each a good one with one thing wrong.

import { createHash, createPublicKey } from "node:crypto";
import { AUDIENCE, bad, CLIENT, claims, ending, header, ISSUER, jws, NONCE, NOW, OTHER_ISSUER, parts, section, token } from "./corpus.mjs";
import * as k from "./keys.mjs";
import { base64url, orderOf, pkcs1Encoding, pssEncoding, rsaRaw } from "./sign.mjs";

const good = token();
const [head, body, made] = parts(good);
const made256 = Buffer.from(made, "base64url");
const withHeader = (text) => jws(text, claims());
const withClaims = (text) => jws(header(), text);
const all = (code, rule, cases, more) => {
  for (const [id, why, text, own] of cases) bad(id, code, rule, why, text, { ...more, ...own });
};

section("bad-form", "Not a compact JWS in its one canonical form.");
all("token_malformed", "RFC 7515 §7.1", [
  ["form-empty", "an empty text", ""], ["form-one-part", "one part", head], ["form-two-parts", "two parts", `${head}.${body}`], ["form-four-parts", "four parts", `${good}.${made}`],
  ["form-six-parts", "six parts", "a.b.c.d.e.f"], ["form-dots", "dots only", ".."], ["form-no-header", "an empty header", `.${body}.${made}`],
  ["form-leading-dot", "a dot before", `.${good}`.replace(/\.[^.]*$/, "")], ["form-bearer", "the scheme before the token", `Bearer ${good}`],
  ["form-quoted", "quotes around the token", `"${good}"`],   ["form-json", "the flattened JSON serialization", JSON.stringify({ protected: head, payload: body, signature: made })],
  ["form-json-general", "the general JSON serialization", JSON.stringify({ payload: body, signatures: [{ protected: head, signature: made }] })],
  ["form-json-empty", "the general JSON serialization without signatures", JSON.stringify({ payload: body, signatures: [] })],
  ["form-polyglot", "JSON whose texts hold a compact token", `{"protected":"${head}","payload":".${body}.${made}"}`],
]);
all("token_malformed", "RFC 7515 §2, RFC 4648 §3", [
  ["base64-padding-header", "padding after the header", `${head}=.${body}.${made}`], ["base64-padding-claims", "padding after the claims", `${head}.${body}=.${made}`],
  ["base64-padding", "padding after the signature", `${good}==`], ["base64-padding-one", "too little padding after the signature", `${good}=`],
  ["base64-space-before", "a space before", ` ${good}`], ["base64-space-after", "a space after", `${good} `], ["base64-space-inside", "a space inside", `${head}.${body} .${made}`],
  ["base64-line-break", "a line break after", `${good}\n`], ["base64-line-break-inside", "a line break inside the signature", `${head}.${body}.${made.slice(0, 76)}\n${made.slice(76)}`],
  ["base64-carriage-return", "a carriage return", `${good}\r\n`], ["base64-tab", "a tab inside the header", `${head.slice(0, 4)}\t${head.slice(4)}.${body}.${made}`],
  ["base64-nul", "a NUL at the end", `${good}\0`], ["base64-nul-inside", "a NUL inside", `${head}.${body}\0.${made}`],
  ["base64-standard", "the standard alphabet", `${head}.${body}.${made256.toString("base64").replace(/=+$/, "")}`], ["base64-plus", "one plus sign", `${head}.${body}.+${made.slice(1)}`],
  ["base64-slash", "one slash", `${head}.${body}./${made.slice(1)}`], ["base64-unused-bits", "unused bits set in the signature", `${head}.${body}.${made.slice(0, -1)}${next(made.at(-1))}`],
  ["base64-one-character", "a part of one character", `${head}.${body}.A`], ["base64-length-5", "a part with a length of 4n + 1", `${head}.${body}.${made}AAA`],
  ["base64-percent", "percent-encoding", `${head}.${body}.%41${made.slice(1)}`], ["base64-beyond-ascii", "a letter beyond ASCII", `${head}.${body}.é${made.slice(1)}`],
  ["base64-full-width", "a full-width letter", `${head}.${body}.${made.slice(0, -1)}Ａ`], ["base64-full-width-dot", "a full-width full stop between the parts", `${head}．${body}.${made}`],
  ["base64-zero-width", "a zero-width space", `${head}.\u200b${body}.${made}`], ["base64-order-mark", "a byte order mark before", `\ufeff${good}`],
]);
all("token_malformed", "RFC 7515 §2, RFC 4648 §3.5", [
  ["base64-unused-bits-header", "unused bits set in the signed header", signedAs(`${head64(1)}`, base64url(JSON.stringify(claims())))],
  ["base64-unused-bits-claims", "unused bits set in the signed claims", signedAs(head, unused(JSON.stringify(claims({ x: "1" }))))],
  ["base64-padded-signed", "padding in the signed header", signedAs(Buffer.from(JSON.stringify(header({ x: "12" }))).toString("base64url").concat("=="), body)],
]);
all("token_encrypted", "RFC 7516 §3.1", [
  ["jwe", "five parts", "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.AAAA.AAAA.AAAA.AAAA"], ["jwe-dir", "an encrypted token with a direct key", `${base64url('{"alg":"dir","enc":"A256GCM"}')}..AAAA.AAAA.AAAA`],
  ["jwe-pbes2", "an encrypted token that asks for much work", `${base64url('{"alg":"PBES2-HS512+A256KW","enc":"A256GCM","p2c":2147483647,"p2s":"AAAA"}')}.AAAA.AAAA.AAAA.AAAA`],
  ["jwe-zip", "a compressed encrypted token", `${base64url('{"alg":"RSA-OAEP","enc":"A256GCM","zip":"DEF"}')}.AAAA.AAAA.AAAA.AAAA`],
  ["jwe-of-jws", "a signed token with two more parts", `${good}.${body}.${made}`], ["jwe-dots", "four dots", "...."], ["jwe-two-tokens", "two tokens with a comma: five parts", `${good},${good}`],
]);
all("token_too_large", "RFC 8725 §3.11", [["size-16k", "one byte more than 16 KiB", `${good}.`.padEnd(16 * 1024 + 1, "A"), { limit: true }], ["size-dots", "twenty thousand dots", ".".repeat(20_000), { limit: true }], ["size-100k", "a hundred thousand bytes", "A".repeat(100_000), { limit: true }]]);

section("bad-header", "A header that is not one JSON object, or whose parameters have no meaning.");
all("token_malformed", "RFC 7515 §4, RFC 8259", [
  ["header-text", "not JSON", withHeader("hello")], ["header-empty", "nothing", `.${body}.${made}`.replace(/^/, "AA")], ["header-list", "a list", withHeader('[{"alg":"RS256"}]')], ["header-string", "a text", withHeader('"RS256"')],
  ["header-number", "a number", withHeader("256")], ["header-null", "null", withHeader("null")], ["header-true", "true", withHeader("true")], ["header-unclosed", "an object without its end", withHeader('{"alg":"RS256","kid":"a"')],
  ["header-trailing", "text after the object", withHeader('{"alg":"RS256","kid":"a"}x')], ["header-two", "two objects", withHeader('{"alg":"RS256","kid":"a"}{}')], ["header-trailing-comma", "a comma before the end", withHeader('{"alg":"RS256","kid":"a",}')],
  ["header-comment", "a comment", withHeader('{"alg":"RS256",/*x*/"kid":"a"}')], ["header-single-quotes", "single quotes", withHeader("{'alg':'RS256','kid':'a'}")], ["header-unquoted", "a name without quotes", withHeader('{alg:"RS256","kid":"a"}')],
  ["header-nan", "NaN", withHeader('{"alg":"RS256","kid":"a","x":NaN}')], ["header-infinity", "Infinity", withHeader('{"alg":"RS256","kid":"a","x":Infinity}')], ["header-hex", "a hexadecimal number", withHeader('{"alg":"RS256","kid":"a","x":0x10}')],
  ["header-leading-zero", "a number with a leading zero", withHeader('{"alg":"RS256","kid":"a","x":012}')], ["header-plus", "a number with a plus sign", withHeader('{"alg":"RS256","kid":"a","x":+1}')],
  ["header-control", "a control character in a text", withHeader('{"alg":"RS256","kid":"a","x":"\u0001"}')], ["header-bad-escape", "an unknown escape", withHeader('{"alg":"RS256","kid":"a","x":"\\q"}')],
  ["header-lone-surrogate", "an escaped surrogate alone", withHeader('{"alg":"RS256","kid":"a","x":"\\ud800"}')], ["header-order-mark", "a byte order mark", withHeader('\ufeff{"alg":"RS256","kid":"a"}')],
  ["header-utf-16", "UTF-16", withHeader(Buffer.from('{"alg":"RS256","kid":"a"}', "utf16le"))], ["header-utf-16-be", "UTF-16 with a mark", withHeader(Buffer.from("\ufeff" + '{"alg":"RS256","kid":"a"}', "utf16le").swap16())],
  ["header-latin-1", "Latin-1", withHeader(Buffer.from('{"alg":"RS256","kid":"a","x":"é"}', "latin1"))], ["header-overlong", "an overlong form of UTF-8", withHeader(Buffer.concat([Buffer.from('{"alg":"RS256","kid":"a","x":"'), Buffer.from([0xc0, 0x80]), Buffer.from('"}')]))],
  ["header-surrogate-utf-8", "a surrogate in UTF-8", withHeader(Buffer.concat([Buffer.from('{"alg":"RS256","kid":"a","x":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]))],
  ["header-depth-17", "one level too deep", withHeader(`{"alg":"RS256","kid":"a","x":${"[".repeat(16)}${"]".repeat(16)}}`), { limit: true }], ["header-depth-1000", "a thousand levels", withHeader(`{"alg":"RS256","kid":"a","x":${"[".repeat(1000)}${"]".repeat(1000)}}`), { limit: true }],
  ["header-long", "more than 4 KiB", withHeader(`{"alg":"RS256","kid":"a","x":"${"x".repeat(4096)}"}`), { limit: true }],
]);
all("token_malformed", "RFC 7515 §4", [
  ["header-duplicate-alg", "alg twice", withHeader('{"alg":"RS256","alg":"RS256","kid":"a"}')], ["header-duplicate-alg-none", "alg twice, first none", withHeader('{"alg":"none","kid":"a","alg":"RS256"}')],
  ["header-duplicate-alg-last", "alg twice, last none", withHeader('{"alg":"RS256","kid":"a","alg":"none"}')], ["header-duplicate-kid", "kid twice", withHeader('{"alg":"RS256","kid":"b","kid":"a"}')],
  ["header-duplicate-escaped", "alg twice, once written with an escape", withHeader('{"alg":"RS256","kid":"a","\\u0061lg":"RS256"}')], ["header-duplicate-unknown", "an unknown parameter twice", withHeader('{"alg":"RS256","kid":"a","x":1,"x":1}')],
  ["header-duplicate-nested", "a duplicate inside an unknown parameter", withHeader('{"alg":"RS256","kid":"a","x":{"y":1,"y":2}}')], ["header-duplicate-crit", "crit twice", withHeader('{"alg":"RS256","kid":"a","crit":["x"],"crit":["x"]}')],
]);
all("token_malformed", "RFC 7515 §4.1", [
  ["alg-absent", "no alg", withHeader('{"kid":"a"}')], ["alg-null", "alg is null", withHeader('{"alg":null,"kid":"a"}')], ["alg-number", "alg is a number", withHeader('{"alg":256,"kid":"a"}')], ["alg-list", "alg is a list", withHeader('{"alg":["RS256"],"kid":"a"}')],
  ["alg-object", "alg is an object", withHeader('{"alg":{"name":"RS256"},"kid":"a"}')], ["alg-true", "alg is true", withHeader('{"alg":true,"kid":"a"}')], ["kid-number", "kid is a number", withHeader('{"alg":"RS256","kid":1}')],
  ["kid-null", "kid is null", withHeader('{"alg":"RS256","kid":null}')], ["kid-list", "kid is a list", withHeader('{"alg":"RS256","kid":["a"]}')], ["kid-object", "kid is an object", withHeader('{"alg":"RS256","kid":{"a":1}}')],
  ["kid-257", "a kid of 257 bytes", token({ kid: "k".repeat(257) }), { keys: "longKid", limit: true }], ["typ-number", "typ is a number", withHeader('{"alg":"RS256","kid":"a","typ":1}')], ["typ-null", "typ is null", withHeader('{"alg":"RS256","kid":"a","typ":null}')],
  ["typ-list", "typ is a list", withHeader('{"alg":"RS256","kid":"a","typ":["JWT"]}')], ["cty-number", "cty is a number", withHeader('{"alg":"RS256","kid":"a","cty":1}')],
]);
all("crit_not_supported", "RFC 7515 §4.1.11", [
  ["crit-unknown", "an extension that is not understood", token({ crit: ["x-own"], "x-own": 1 })], ["crit-exp", "exp as an extension", token({ crit: ["exp"], exp: NOW + 600 })], ["crit-empty", "an empty list", token({ crit: [] })],
  ["crit-absent-name", "a name that the header lacks", token({ crit: ["x-own"] })], ["crit-registered", "a registered parameter", token({ crit: ["alg"] })], ["crit-text", "a text", token({ crit: "exp" })], ["crit-null", "null", token({ crit: null })],
  ["crit-number", "a number", token({ crit: 1 })], ["crit-object", "an object", token({ crit: { exp: true } })], ["crit-twice", "a name twice", token({ crit: ["x", "x"], x: 1 })], ["crit-numbers", "a list of numbers", token({ crit: [1] })],
  ["crit-b64", "b64 (RFC 7797)", token({ crit: ["b64"], b64: true })], ["crit-b64-false", "an unencoded payload (RFC 7797)", token({ crit: ["b64"], b64: false })], ["crit-iss", "iss as an extension", token({ crit: ["iss"], iss: ISSUER })],
]);
all("b64_not_supported", "RFC 7797 §3", [["b64-true", "b64 without crit", token({ b64: true })], ["b64-false", "b64 without crit", token({ b64: false })], ["b64-null", "b64 of another type", token({ b64: null })], ["b64-text", "b64 of another type", token({ b64: "false" })]]);

section("bad-algorithm", "Algorithms that the policy does not list, and keys in another role.");
const claimsPart = base64url(JSON.stringify(claims()));
const unsigned = (alg, signature = "") => `${base64url(JSON.stringify(header({ alg })))}.${claimsPart}.${signature}`;
for (const alg of ["none", "None", "NONE", "nOnE", "none ", "", "null", "undefined"]) {
  const name = slug(alg);
  bad(`alg-${name}-unsigned`, "alg_not_allowed", "RFC 8725 §3.2", "no signature", unsigned(alg));
  bad(`alg-${name}-signed`, "alg_not_allowed", "RFC 8725 §3.2", "a signature that would be genuine", token({ alg }, {}, { alg: "RS256" }));
}
for (const alg of ["rs256", "Rs256", "RS256 ", " RS256", "RS-256", "RSA256", "SHA256withRSA", "RS1", "RS224", "RS256\0", "ＲＳ256", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"]) {
  bad(`alg-name-${slug(alg)}`, "alg_not_allowed", "RFC 7515 §4.1.1", `names of algorithms are compared exactly: ${JSON.stringify(alg)}`, token({ alg }, {}, { alg: "RS256" }));
}
for (const alg of ["RS384", "RS512", "PS256", "PS384", "PS512"]) bad(`alg-unlisted-${alg}`, "alg_not_allowed", "RFC 8725 §3.1", "an algorithm that the policy does not list", token({ alg, kid: "b" }, {}, { key: k.b }));
for (const [alg, kid, key] of [["ES256", "p256", k.p256], ["ES384", "p384", k.p384], ["EdDSA", "ed", k.ed]]) bad(`alg-unlisted-${alg}`, "alg_not_allowed", "RFC 8725 §3.1", "an algorithm that the policy does not list", token({ alg, kid }, {}, { key }), { keys: "curves" });
for (const alg of ["ES512", "ES256K", "Ed448", "ML-DSA-44", "ESB256"]) bad(`alg-unknown-${alg}`, "alg_not_allowed", "RFC 7515 §4.1.1", "an algorithm that is not supported", token({ alg, kid: "p256" }, {}, { key: k.p256, alg: "ES256" }), { policy: "curves" });
const publicKey = createPublicKey(k.a.key);
const spki = publicKey.export({ type: "spki", format: "pem" });
const secrets = {
  "pem-spki": spki, "pem-spki-trimmed": spki.trim(), "pem-spki-crlf": spki.replaceAll("\n", "\r\n"), "pem-spki-indented": `  ${spki}`, "pem-pkcs1": publicKey.export({ type: "pkcs1", format: "pem" }), "der-spki": publicKey.export({ type: "spki", format: "der" }),
  "der-pkcs1": publicKey.export({ type: "pkcs1", format: "der" }), "jwk-json": JSON.stringify(k.jwk(k.a)), "jwks-json": k.sets.main, modulus: Buffer.from(k.a.jwk.n, "base64url"), "modulus-text": k.a.jwk.n, kid: "a", empty: "", nul: Buffer.alloc(1), zeros: Buffer.alloc(32),
};
for (const [id, secret] of Object.entries(secrets)) bad(`hs256-${id}`, "alg_not_allowed", "RFC 8725 §2.1", "HMAC with what is public as its secret", token({ alg: "HS256" }, {}, { key: Buffer.from(secret) }), { policy: "rsa" });
for (const alg of ["HS384", "HS512"]) bad(`${alg.toLowerCase()}-pem`, "alg_not_allowed", "RFC 8725 §2.1", "HMAC with the public key as its secret", token({ alg }, {}, { key: Buffer.from(spki) }), { policy: "rsa" });
bad("hs256-oct", "alg_not_allowed", "RFC 8725 §2.1", "HMAC with a symmetric key of the set", token({ alg: "HS256", kid: "k" }, {}, { key: Buffer.from(k.a.jwk.n, "base64url") }), { keys: "oct" });
for (const [header, signer] of [["RS256", "PS256"], ["RS384", "RS256"], ["RS512", "RS256"], ["PS256", "RS256"], ["PS256", "PS384"], ["PS384", "PS256"], ["RS256", "RS512"]]) {
  bad(`alg-${header}-signed-${signer}`, "signature_invalid", "RFC 8725 §3.1", `${header} in the header, signed with ${signer}`, token({ alg: header, kid: "b" }, {}, { key: k.b, alg: signer }), { policy: "rsa" });
}
bad("alg-key-for-ps256", "key_alg_mismatch", "RFC 8725 §3.1", "RS256 with a key that is published for PS256", token({ kid: "ps" }, {}, { key: k.c }), { policy: "rsa" });
bad("alg-key-for-rs256", "key_alg_mismatch", "RFC 8725 §3.1", "PS256 with a key that is published for RS256", token({ alg: "PS256" }), { policy: "rsa" });
bad("alg-key-for-rs512", "key_alg_mismatch", "RFC 7517 §4.4", "RS256 with a key that is published for RS512", token({ kid: "k" }), { keys: "algOfOther" });
for (const [alg, key, kids] of [["ES256", k.p256, ["a", "p384", "ed"]], ["ES384", k.p384, ["a", "p256", "ed"]], ["EdDSA", k.ed, ["a", "p256", "p384"]], ["RS256", k.a, ["p256", "p384", "ed"]]]) {
  for (const kid of kids) bad(`alg-${alg}-key-${kid}`, "key_alg_mismatch", "RFC 8725 §3.1", `${alg} with a key of another type or curve`, token({ alg, kid }, {}, { key }), { policy: "curves" });
}

/** Sets whose keys are refused by limits of ours, or because they could be factored. */
const LIMITS = ["kidTooLong", "n8193", "n16384", "eHuge", "roca"];
section("bad-key", "A key that is not the issuer's, not for signatures, or not safe.");
for (const [id, kid, why] of [["unknown", "nobody", "a kid that is not published"], ["case", "A", "kids are compared with regard to case"], ["space", "a ", "a space after the kid"], ["prefix", "", "an empty kid"], ["path", "../../dev/null", "a path"], ["sql", "a' OR '1'='1", "SQL"], ["url", "https://evil.example/k", "a URL"], ["nul", "a\0", "a NUL after the kid"], ["unicode", "а", "a letter that looks the same"], ["proto", "__proto__", "a name that JavaScript objects have"], ["constructor", "constructor", "another one"]]) {
  bad(`kid-${id}`, "key_not_found", "RFC 7515 §4.1.4", why, token({ kid }));
}
all("key_ambiguous", "RFC 7515 §4.1.4", [
  ["kid-absent", "no kid, and several keys", token({ kid: undefined })], ["kid-absent-two", "no kid, and two keys", token({ kid: undefined }), { keys: "twoWithoutKid" }], ["kid-twice", "two keys with the kid", token({ kid: "k" }), { keys: "twice" }],
]);
all("signature_invalid", "RFC 8725 §3.8", [
  ["key-other", "another key of the set", token({}, {}, { key: k.b })], ["key-other-issuer", "the key of another issuer under the same kid", token({}, {}, { key: k.b }), { policy: "several" }],
  ["key-first-for-second", "the second issuer's name, the first one's key", token({}, { iss: OTHER_ISSUER }), { policy: "several" }],
]);
all("key_not_found", "RFC 7515 §4.1.2 to §4.1.6", [
  ["jwk-embedded", "a key in the header", token({ kid: "mine", jwk: k.jwk(k.b, { kid: "mine" }) }, {}, { key: k.b })], ["jku", "the URL of a key set in the header", token({ kid: "mine", jku: `${ISSUER}.well-known/jwks.json` }, {}, { key: k.b })],
  ["x5u", "the URL of a certificate in the header", token({ kid: "mine", x5u: "https://evil.example/cert.pem" }, {}, { key: k.b })], ["x5c", "a certificate in the header", token({ kid: "mine", x5c: [publicKey.export({ type: "spki", format: "der" }).toString("base64")] }, {}, { key: k.b })],
]);
all("signature_invalid", "RFC 7515 §4.1.3", [
  ["jwk-embedded-kid", "a key in the header under a published kid", token({ jwk: k.jwk(k.b, { kid: "a" }) }, {}, { key: k.b })], ["jku-kid", "the URL of a key set under a published kid", token({ jku: "https://evil.example/jwks.json" }, {}, { key: k.b })],
  ["x5c-kid", "a certificate under a published kid", token({ x5c: ["MIIB"] }, {}, { key: k.b })], ["jwk-embedded-single", "a key in the header, no kid", token({ kid: undefined, jwk: k.jwk(k.b) }, {}, { key: k.b }), { keys: "single" }],
]);
for (const [keys, rule, why] of [
  ["use", "RFC 7517 §4.2", "a key for encryption"], ["useList", "RFC 7517 §4.2", "use is a list"], ["keyOpsSign", "RFC 7517 §4.3", "key_ops without verify"], ["keyOpsEmpty", "RFC 7517 §4.3", "empty key_ops"], ["keyOpsDuplicate", "RFC 7517 §4.3", "an operation twice"],
  ["keyOpsText", "RFC 7517 §4.3", "key_ops is a text"], ["algOfEncryption", "RFC 7517 §4.4", "an algorithm of encryption"], ["algOfHmac", "RFC 7517 §4.4", "an algorithm of symmetric keys"], ["algNone", "RFC 7517 §4.4", "none as the algorithm of a key"], ["algNumber", "RFC 7517 §4.4", "alg is a number"],
  ["algOfCurve", "RFC 7517 §4.4", "the algorithm of a curve for an RSA key"], ["privateD", "RFC 7517 §9.2", "a private exponent beside it"], ["privateP", "RFC 7517 §9.2", "a private factor beside it"], ["oct", "RFC 7517 §4.1", "a symmetric key"], ["octEmpty", "RFC 7517 §4.1", "an empty symmetric key"],
  ["duplicateKty", "RFC 7517 §4", "kty twice"], ["duplicateN", "RFC 7517 §4", "a modulus twice"], ["duplicateKid", "RFC 7517 §4", "kid twice"], ["ktyLower", "RFC 7517 §4.1", "kty in lower case"], ["ktyMissing", "RFC 7517 §4.1", "no kty"], ["nMissing", "RFC 7518 §6.3.1", "no modulus"],
  ["eMissing", "RFC 7518 §6.3.1", "no exponent"], ["nNumber", "RFC 7518 §6.3.1", "a modulus that is a number"], ["nBadBase64", "RFC 7518 §2", "a space in the modulus"], ["nEmpty", "RFC 7518 §6.3.1", "an empty modulus"], ["e0", "RFC 8017 §3.1", "the exponent 0"],
  ["e2", "RFC 8017 §3.1", "the exponent 2"], ["eEven", "RFC 8017 §3.1", "an even exponent"], ["eHuge", "RFC 8725 §3.5", "an exponent of 34 bits"], ["nEven", "RFC 8017 §3.1", "an even modulus"], ["n2047", "RFC 7518 §3.3", "a modulus of 2047 bits"], ["n8193", "RFC 8725 §3.5", "a modulus of 8193 bits"],
  ["n16384", "RFC 8725 §3.5", "a modulus of 16384 bits"], ["roca", "CVE-2017-15361", "a modulus that can be factored"], ["kidNumber", "RFC 7517 §4.5", "kid is a number"], ["kidTooLong", "RFC 7517 §4.5", "a kid of 257 bytes"],
]) bad(`key-${keys}`, "key_not_found", rule, why, token({ kid: keys === "kidNumber" ? "1" : keys === "kidTooLong" ? "k".repeat(256) : "k" }), { keys, ...(LIMITS.includes(keys) && { limit: true }) });
bad("key-n1024", "key_not_found", "RFC 7518 §3.3", "a modulus of 1024 bits, with a genuine signature", token({ kid: "k" }, {}, { key: k.weak }), { keys: "n1024" });
bad("key-e1", "key_not_found", "RFC 8017 §3.1", "the exponent 1, under which the encoded message is its own signature", token({ kid: "k" }, {}, { with: (_, signed) => pkcs1Encoding(256, signed, 256) }), { keys: "e1" });
bad("key-e1-pss", "key_not_found", "RFC 8017 §3.1", "the exponent 1 with PSS", token({ alg: "PS256", kid: "k" }, {}, { with: (_, signed) => pssEncoding(256, signed, 256) }), { keys: "e1", policy: "rsa" });
for (const [keys, why, alg = "ES256", key = k.p256, more = {}] of [
  ["offCurve", "a point that is not on its curve"], ["infinity", "the point (0, 0)"], ["shortX", "a coordinate of 31 octets (RFC 7518 §6.2.1.2)"], ["longX", "a coordinate of 33 octets"], ["noY", "no y"], ["otherCurveName", "a point of another curve"], ["secp256k1", "a curve that is not supported"],
  ["p521", "a larger curve that is not supported"], ["p256AsEs384", "an algorithm of another curve"], ["ecPrivate", "a private key"], ["okpX25519", "a key for agreement", "EdDSA", k.ed], ["okpAsEc", "another type of key", "EdDSA", k.ed],
  ["edSmallOrder", "a point of the order 1, under which anyone can sign", "EdDSA", k.ed, { with: () => Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]) }], ["edZero", "a point of the order 4", "EdDSA", k.ed], ["edOrder8", "a point of the order 8", "EdDSA", k.ed],
  ["edNotCanonical", "a number not below the prime", "EdDSA", k.ed], ["edShort", "31 octets", "EdDSA", k.ed], ["edAsEs256", "an algorithm of another type", "EdDSA", k.ed], ["edPrivate", "a private key", "EdDSA", k.ed],
]) bad(`key-${keys}`, "key_not_found", "RFC 7518 §6.2, RFC 8037 §2", why, token({ alg, kid: "k" }, {}, { key, ...more }), { keys, policy: "curves" });

section("bad-signature", "Signatures that are not those of the signed bytes.");
const flip = (at, mask = 1) => (bytes) => Buffer.from(bytes.map((byte, index) => (index === (at + bytes.length) % bytes.length ? byte ^ mask : byte)));
const changed = (change) => token({}, {}, { with: change });
all("signature_invalid", "RFC 7515 §5.2", [
  ["sig-empty", "none", `${head}.${body}.`], ["sig-other-claims", "of other claims", `${head}.${base64url(JSON.stringify(claims({ sub: "root" })))}.${made}`], ["sig-other-header", "of another header", `${base64url(JSON.stringify(header({ x: 1 })))}.${body}.${made}`],
  ["sig-first-bit", "one bit changed at the start", changed(flip(0, 0x80))], ["sig-last-bit", "one bit changed at the end", changed(flip(-1))], ["sig-middle-bit", "one bit changed in the middle", changed(flip(128))],
  ["sig-short", "a byte less", changed((bytes) => bytes.subarray(1))], ["sig-cut", "a byte cut off at the end", changed((bytes) => bytes.subarray(0, -1))], ["sig-long", "a zero before", changed((bytes) => Buffer.concat([Buffer.alloc(1), bytes]))],
  ["sig-longer", "a byte after", changed((bytes) => Buffer.concat([bytes, Buffer.alloc(1)]))], ["sig-twice", "twice", changed((bytes) => Buffer.concat([bytes, bytes]))], ["sig-zero", "zeros", changed((bytes) => Buffer.alloc(bytes.length))],
  ["sig-one", "the number 1", changed((bytes) => Buffer.concat([Buffer.alloc(bytes.length - 1), Buffer.from([1])]))], ["sig-ones", "all bits set", changed((bytes) => Buffer.alloc(bytes.length, 0xff))], ["sig-modulus", "the modulus", changed(() => Buffer.from(k.a.jwk.n, "base64url"))],
  ["sig-modulus-minus-one", "the modulus less one", changed(() => minus(Buffer.from(k.a.jwk.n, "base64url"), 1n))], ["sig-reversed", "the bytes reversed", changed((bytes) => Buffer.from(bytes).reverse())], ["sig-encoding", "the encoded message itself", changed((_, signed) => pkcs1Encoding(256, signed, 256))],
  ["sig-hash", "the hash of the message", changed((_, signed) => createHash("sha256").update(signed).digest())], ["sig-decoded", "of the decoded header and claims", changed(() => rsaRaw(k.a, pkcs1Encoding(256, Buffer.from(`${JSON.stringify(header())}.${JSON.stringify(claims())}`), 256)))],
  ["sig-claims-only", "of the claims alone", changed(() => rsaRaw(k.a, pkcs1Encoding(256, Buffer.from(body), 256)))], ["sig-text", "written in hexadecimal", changed((bytes) => Buffer.from(bytes.toString("hex")))],
]);
// PKCS#1 v1.5: the encoding is compared as a whole.
const encoded = (options) => (_, signed) => rsaRaw(k.a, pkcs1Encoding(256, signed, 256, options));
const block = (...before) => ({ make: (tail, length) => Buffer.concat([...before, Buffer.alloc(Math.max(0, length - tail.length - 1 - Buffer.concat(before).length), 0xff), Buffer.from([0]), tail]) });
all("signature_invalid", "RFC 8017 §8.2.2", [
  ["pkcs1-info-sha1", "the prefix of SHA-1", changed(encoded({ info: "3021300906052b0e03021a05000414" }))], ["pkcs1-info-sha512", "the prefix of SHA-512", changed(encoded({ info: "3051300d060960864801650304020305000440" }))], ["pkcs1-info-none", "no prefix", changed(encoded({ info: "" }))],
  ["pkcs1-info-without-null", "a prefix without NULL", changed(encoded({ info: "302f300b0609608648016503040201" + "0420" }))], ["pkcs1-info-long-length", "a length in the long form", changed(encoded({ info: "308131300d060960864801650304020105000420" }))],
  ["pkcs1-block-00", "the block type 0", changed(encoded({ make: (tail, length) => Buffer.concat([Buffer.alloc(length - tail.length), tail]) }))], ["pkcs1-block-02", "the block type 2", changed(encoded(block(Buffer.from([0, 2]))))], ["pkcs1-first-byte", "a first byte of 1", changed(encoded(block(Buffer.from([1, 1]))))],
  ["pkcs1-padding-byte", "one byte of the padding changed", changed(encoded(block(Buffer.from([0, 1, 0xff, 0xfe]))))], ["pkcs1-padding-short", "a short padding, and text after the hash", changed(encoded({ make: (tail, length) => Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(8, 0xff), Buffer.from([0]), tail, Buffer.alloc(length - tail.length - 11)]) }))],
  ["pkcs1-padding-none", "no padding", changed(encoded({ make: (tail, length) => Buffer.concat([Buffer.from([0, 1, 0]), tail, Buffer.alloc(length - tail.length - 3)]) }))], ["pkcs1-trailing", "a byte after the hash", changed(encoded({ make: (tail, length) => Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(length - tail.length - 4, 0xff), Buffer.from([0]), tail, Buffer.alloc(1)]) }))],
  ["pkcs1-no-separator", "no separator", changed(encoded({ make: (tail, length) => Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(length - tail.length - 2, 0xff), tail]) }))],
]);
const cubeRoot = (_, signed) => forgeCube(pkcs1Encoding(256, signed, 256, { make: (tail, length) => Buffer.concat([Buffer.from([0, 1, 0xff, 0]), tail, Buffer.alloc(length - tail.length - 4)]) }));
bad("pkcs1-cube-root", "signature_invalid", "RFC 8017 §8.2.2", "a forgery for the exponent 3: a cube root of the start of an encoding", token({ kid: "e3" }, {}, { with: cubeRoot }));
const pss = (options) => token({ alg: "PS256", kid: "b" }, {}, { with: (_, signed) => rsaRaw(k.b, pssEncoding(256, signed, 256, options)) });
all("signature_invalid", "RFC 7518 §3.5", [
  ...[0, 1, 20, 31, 33, 48, 64, 222].map((saltLength) => [`pss-salt-${saltLength}`, `a salt of ${saltLength} bytes`, pss({ saltLength })]), ["pss-mask-sha1", "a mask of SHA-1", pss({ maskBits: 1 })], ["pss-mask-sha512", "a mask of SHA-512", pss({ maskBits: 512 })], ["pss-trailer-cc", "the trailer of another hash", pss({ trailer: 0xcc })], ["pss-trailer-00", "no trailer", pss({ trailer: 0 })],
  ["pss-encoding", "the encoded message itself", token({ alg: "PS256", kid: "b" }, {}, { key: k.b, with: (_, signed) => pssEncoding(256, signed, 256) })], ["pss-short", "a byte less", token({ alg: "PS256", kid: "b" }, {}, { key: k.b, with: (bytes) => bytes.subarray(1) })], ["pss-long", "a zero before", token({ alg: "PS256", kid: "b" }, {}, { key: k.b, with: (bytes) => Buffer.concat([Buffer.alloc(1), bytes]) })],
  ["pss-bit", "one bit changed", token({ alg: "PS256", kid: "b" }, {}, { key: k.b, with: flip(7) })],
], { policy: "rsa" });
const der = (bytes) => {
  const half = bytes.length / 2;
  const integers = [bytes.subarray(0, half), bytes.subarray(half)].map((part) => Buffer.concat([Buffer.from([2, half + 1, 0]), part]));
  return Buffer.concat([Buffer.from([0x30, 2 * half + 6]), ...integers]);
};
for (const [alg, kid, key, other, crv] of [["ES256", "p256", k.p256, k.p256b, "P-256"], ["ES384", "p384", k.p384, k.p384b, "P-384"], ["EdDSA", "ed", k.ed, k.edb]]) {
  const half = (bytes) => [bytes.subarray(0, bytes.length / 2), bytes.subarray(bytes.length / 2)];
  const signed = (change, more) => token({ alg, kid }, {}, { key, with: change, ...more });
  const order = crv === undefined ? Buffer.from("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", "hex") : orderOf(crv);
  all("signature_invalid", alg === "EdDSA" ? "RFC 8032 §5.1.7" : "RFC 7518 §3.4", [
    [`${alg}-empty`, "none", signed(() => Buffer.alloc(0))], [`${alg}-zeros`, "zeros", signed((bytes) => Buffer.alloc(bytes.length))], [`${alg}-ones`, "all bits set", signed((bytes) => Buffer.alloc(bytes.length, 0xff))], [`${alg}-orders`, "the order twice", signed(() => Buffer.concat([order, order]))],
    [`${alg}-zero-first`, "zero as the first half", signed((bytes) => Buffer.concat([Buffer.alloc(order.length), half(bytes)[1]]))], [`${alg}-zero-second`, "zero as the second half", signed((bytes) => Buffer.concat([half(bytes)[0], Buffer.alloc(order.length)]))],
    [`${alg}-swapped`, "the halves exchanged", signed((bytes) => Buffer.concat(half(bytes).reverse()))], [`${alg}-der`, "in DER", signed(der)], [`${alg}-short`, "a byte less", signed((bytes) => bytes.subarray(1))], [`${alg}-long`, "a byte more", signed((bytes) => Buffer.concat([Buffer.alloc(1), bytes]))],
    [`${alg}-cut`, "a byte cut off at the end", signed((bytes) => bytes.subarray(0, -1))], [`${alg}-bit`, "one bit changed", signed(flip(3))], [`${alg}-other-key`, "of another key", signed(undefined, { key: other })], [`${alg}-other-hash`, "of other bytes", signed((_, text) => signature64(alg, key, text))],
    [`${alg}-plus-order`, "the order added to the second half", signed((bytes) => plusOrder(bytes, order, crv === undefined))],
  ], { policy: "curves" });
}

section("bad-claims", "Claims that are not one JSON object, of wrong types, or repeated.");
all("token_malformed", "RFC 7519 §7.2, RFC 8259", [
  ["claims-text", "not JSON", withClaims("hello")], ["claims-empty", "nothing", withClaims("")], ["claims-list", "a list", withClaims(`[${JSON.stringify(claims())}]`)], ["claims-empty-list", "an empty list", withClaims("[]")], ["claims-string", "a text", withClaims('"x"')], ["claims-null", "null", withClaims("null")],
  ["claims-number", "a number", withClaims("1")], ["claims-trailing", "text after the object", withClaims(`${JSON.stringify(claims())} x`)], ["claims-two", "two objects", withClaims(`${JSON.stringify(claims())}{}`)], ["claims-order-mark", "a byte order mark", withClaims(`\ufeff${JSON.stringify(claims())}`)],
  ["claims-utf-16", "UTF-16", withClaims(Buffer.from(JSON.stringify(claims()), "utf16le"))], ["claims-latin-1", "Latin-1", withClaims(Buffer.from(ending(claims(), '"x":"é"'), "latin1"))], ["claims-bad-utf-8", "a byte that UTF-8 does not have", withClaims(Buffer.concat([Buffer.from(ending(claims(), '"x":"').slice(0, -1)), Buffer.from([0xff]), Buffer.from('"}')]))],
  ["claims-lone-surrogate", "an escaped surrogate alone", withClaims(ending(claims(), '"x":"\\udfff"'))], ["claims-nan", "NaN", withClaims(ending(claims(), '"x":NaN'))], ["claims-trailing-comma", "a comma before the end", withClaims(`${JSON.stringify(claims()).slice(0, -1)},}`)],
  ["claims-control", "a control character in a text", withClaims(ending(claims(), '"x":"\n"'))], ["claims-depth-65", "one level too deep", withClaims(ending(claims(), `"x":${"[".repeat(64)}${"]".repeat(64)}`)), { limit: true }], ["claims-depth-2000", "two thousand levels", withClaims(ending(claims(), `"x":${"[".repeat(2000)}${"]".repeat(2000)}`)), { limit: true }],
  ["claims-nested-jws", "a signed token as claims (RFC 7519 §5.2)", jws(header({ cty: "JWT" }), good)], ["claims-unclosed", "an object without its end", withClaims(JSON.stringify(claims()).slice(0, -1))], ["claims-nul", "a NUL after the object", withClaims(`${JSON.stringify(claims())}\0`)],
]);
all("token_malformed", "RFC 7519 §4", [
  ...["iss", "sub", "aud", "exp", "iat"].map((name) => [`claims-duplicate-${name}`, `${name} twice, with the same value`, withClaims(ending(claims(), `"${name}":${JSON.stringify(claims()[name])}`))]),
  ["claims-duplicate-exp-first", "exp twice, first in the past", withClaims(`{"exp":1,${JSON.stringify(claims()).slice(1)}`)], ["claims-duplicate-exp-last", "exp twice, last in the past", withClaims(ending(claims(), '"exp":1'))],
  ["claims-duplicate-escaped", "sub twice, once written with an escape", withClaims(ending(claims(), '"\\u0073ub":"root"'))], ["claims-duplicate-unknown", "an unknown claim twice", withClaims(ending(claims(), '"x":1,"x":2'))], ["claims-duplicate-nested", "a duplicate inside a claim", withClaims(ending(claims(), '"x":{"y":1,"y":2}'))], ["claims-duplicate-proto", "__proto__ twice", withClaims(ending(claims(), '"__proto__":1,"__proto__":2'))],
]);
const dates = { text: `${NOW + 600}`, null: null, true: true, false: false, list: [NOW + 600], object: {}, negative: -1, "negative-big": -9_007_199_254_740_993, year: 253_402_300_800, "empty-text": "", iso: "2027-01-15T08:10:00Z" };
for (const name of ["exp", "nbf", "iat"]) for (const [id, value] of Object.entries(dates)) bad(`${name}-${id}`, "claim_malformed", "RFC 7519 §2", `${name}: ${JSON.stringify(value)}`, token({}, { [name]: value }), id === "year" && { limit: true });
const number = (name, value) => withClaims(JSON.stringify(claims({ [name]: 12_345_678 })).replace("12345678", value));
for (const value of ["9223372036854775808", "18446744073709551616", "1e300", "-0.5"]) bad(`exp-number-${value}`, "claim_malformed", "RFC 7519 §2", `exp: ${value}`, number("exp", value), value !== "-0.5" && { limit: true });
bad("exp-1e400", "token_malformed", "RFC 8259 §6", "an exp that is no finite number", number("exp", "1e400"));
bad("iat-1e400", "token_malformed", "RFC 8259 §6", "an iat that is no finite number", number("iat", "-1e400"));
all("claim_malformed", "RFC 7519 §4.1", [
  ["iss-list", "iss is a list", token({}, { iss: [ISSUER] })], ["iss-list-two", "iss is a list of two", token({}, { iss: [ISSUER, OTHER_ISSUER] })], ["iss-null", "iss is null", token({}, { iss: null })], ["iss-number", "iss is a number", token({}, { iss: 1 })], ["iss-object", "iss is an object", token({}, { iss: { url: ISSUER } })], ["iss-true", "iss is true", token({}, { iss: true })],
  ["sub-number", "sub is a number", token({}, { sub: 1 })], ["sub-null", "sub is null", token({}, { sub: null })], ["sub-list", "sub is a list", token({}, { sub: ["user-1"] })], ["sub-object", "sub is an object", token({}, { sub: {} })], ["aud-null", "aud is null", token({}, { aud: null })], ["aud-number", "aud is a number", token({}, { aud: 1 })],
  ["aud-object", "aud is an object", token({}, { aud: { [AUDIENCE]: true } })], ["aud-true", "aud is true", token({}, { aud: true })], ["aud-list-number", "a number in the list", token({}, { aud: [AUDIENCE, 1] })], ["aud-list-null", "null in the list", token({}, { aud: [null, AUDIENCE] })], ["aud-list-list", "a list in the list", token({}, { aud: [[AUDIENCE]] })],
]);
all("claim_missing", "RFC 7519 §4.1", [["exp-absent", "no exp", token({}, { exp: undefined })], ["iss-absent", "no iss", token({}, { iss: undefined })], ["aud-absent", "no aud", token({}, { aud: undefined })], ["claims-none", "no claims at all", withClaims("{}")]]);

section("bad-times", "Times at the first refused second.");
for (const [policy, skew] of [["exact", 0], ["rs256", 5], ["lenient", 60]]) {
  const at = { policy };
  bad(`exp-now-${skew}`, "token_expired", "RFC 7519 §4.1.4", `the first second at which exp has passed, with a skew of ${skew} s`, token({}, { exp: NOW - skew }), at);
  bad(`exp-fraction-${skew}`, "token_expired", "RFC 7519 §4.1.4", "half a second after exp", token({}, { exp: NOW - skew - 0.5 }), at);
  bad(`exp-past-${skew}`, "token_expired", "RFC 7519 §4.1.4", "an hour after exp", token({}, { exp: NOW - 3600 }), at);
  bad(`nbf-next-${skew}`, "token_not_yet_valid", "RFC 7519 §4.1.5", `the last second before nbf, with a skew of ${skew} s`, token({}, { nbf: NOW + skew + 1 }), at);
  bad(`nbf-fraction-${skew}`, "token_not_yet_valid", "RFC 7519 §4.1.5", "half a second before nbf", token({}, { nbf: NOW + skew + 0.5 }), at);
  bad(`iat-next-${skew}`, "token_issued_in_future", "RFC 7519 §4.1.6", "issued further ahead than the skew allows", token({}, { iat: NOW + skew + 1 }), at);
  bad(`iat-hour-${skew}`, "token_issued_in_future", "RFC 7519 §4.1.6", "issued in an hour", token({}, { iat: NOW + 3600 }), at);
}
bad("exp-zero", "token_expired", "RFC 7519 §4.1.4", "1970", token({}, { exp: 0 }));
bad("exp-milliseconds-nbf", "token_not_yet_valid", "RFC 7519 §2", "nbf in milliseconds", token({}, { nbf: (NOW - 60) * 1000 > 253_402_300_799 ? 253_402_300_799 : 1 }));
bad("age-first", "token_too_old", "RFC 8725 §3.10", "the first second past the largest age", token({}, { iat: NOW - 305 }), { policy: "age" });
bad("age-unknown", "claim_missing", "RFC 8725 §3.10", "no iat where there is a largest age", token({}, { iat: undefined }), { policy: "age" });

section("bad-policies", "Tokens of another issuer, for another audience, of another kind or client, or without a right.");
const issuers = { slash: ISSUER.slice(0, -1), "two-slashes": `${ISSUER}/`, case: ISSUER.replace("issuer", "Issuer"), scheme: ISSUER.replace("https", "http"), "scheme-case": ISSUER.replace("https", "HTTPS"), port: ISSUER.replace(".com/", ".com:443/"), path: `${ISSUER}x`, query: `${ISSUER}?`, fragment: `${ISSUER}#`, user: ISSUER.replace("issuer", "x@issuer"), prefix: ISSUER.slice(0, -5), suffix: `x${ISSUER}`, subdomain: ISSUER.replace("issuer", "a.issuer"), longer: ISSUER.replace(".com", ".com.evil.example"), space: `${ISSUER} `, nul: `${ISSUER}\0`, dot: ISSUER.replace(".com/", ".com./"), escaped: ISSUER.replace("issuer", "%69ssuer"), unicode: ISSUER.replace("i", "і"), empty: "", other: OTHER_ISSUER };
for (const [id, iss] of Object.entries(issuers)) bad(`iss-${id}`, "issuer_mismatch", "RFC 7519 §4.1.1", `issuers are compared exactly: ${JSON.stringify(iss)}`, token({}, { iss }));
const audiences = { slash: `${AUDIENCE}/`, case: AUDIENCE.toUpperCase(), scheme: AUDIENCE.replace("https", "http"), prefix: AUDIENCE.slice(0, -1), longer: `${AUDIENCE}.evil.example`, space: `${AUDIENCE} `, joined: `${AUDIENCE} urn:other`, comma: `${AUDIENCE},urn:other`, json: `["${AUDIENCE}"]`, nul: `${AUDIENCE}\0`, empty: "", client: CLIENT, issuer: ISSUER, star: "*" };
for (const [id, aud] of Object.entries(audiences)) {
  bad(`aud-${id}`, "audience_mismatch", "RFC 7519 §4.1.3", `audiences are compared exactly: ${JSON.stringify(aud)}`, token({}, { aud }));
  bad(`aud-list-${id}`, "audience_mismatch", "RFC 7519 §4.1.3", "the same in a list", token({}, { aud: [aud, "urn:other"] }));
}
bad("aud-empty-list", "audience_mismatch", "RFC 7519 §4.1.3", "an empty list", token({}, { aud: [] }));
for (const typ of ["logout+jwt", "dpop+jwt", "secevent+jwt", "JWE", "JOSE", "jwt+at", "at+jwt;v=1", "application/", "application/application/jwt", "text/jwt", "", "JWT ", "oauth-authz-req+jwt", "entity-statement+jwt", "vc+sd-jwt"]) bad(`typ-${slug(typ)}`, "typ_not_allowed", "RFC 8725 §3.11", `another type: ${JSON.stringify(typ)}`, token({ typ }));
for (const [id, typ] of [["other", "custom2+jwt"], ["prefix", "custom"], ["dpop", "dpop+jwt"]]) bad(`types-${id}`, "typ_not_allowed", "RFC 8725 §3.11", "a type that is not listed", token({ typ }), { policy: "types" });
bad("rfc9068-jwt", "typ_not_allowed", "RFC 9068 §4", "the type JWT where at+jwt is required", token({}, { client_id: CLIENT, jti: "j" }), { policy: "rfc9068" });
bad("rfc9068-no-typ", "typ_not_allowed", "RFC 9068 §4", "no type", token({ typ: undefined }, { client_id: CLIENT, jti: "j" }), { policy: "rfc9068" });
for (const name of ["sub", "client_id", "iat", "jti"]) bad(`rfc9068-no-${name}`, "claim_missing", "RFC 9068 §2.2", `no ${name}`, token({ typ: "at+jwt" }, { client_id: CLIENT, jti: "j", [name]: undefined }), { policy: "rfc9068" });
for (const name of ["client_id", "jti"]) bad(`rfc9068-${name}-number`, "claim_malformed", "RFC 9068 §2.2", `${name} is a number`, token({ typ: "at+jwt" }, { client_id: CLIENT, jti: "j", [name]: 1 }), { policy: "rfc9068" });
bad("jwt-only-at-jwt", "typ_not_allowed", "RFC 8725 §3.11", "at+jwt where only JWT is accepted", token({ typ: "at+jwt" }), { policy: "jwtOnly" });
const kinds = { nonce: { nonce: "n" }, "at-hash": { at_hash: "x" }, "c-hash": { c_hash: "x", scope: "openid" }, "s-hash": { s_hash: "x" }, "token-use": { token_use: "id" }, "token-use-case": { token_use: "ID" }, typ: { typ: "ID" }, refresh: { typ: "Refresh" }, offline: { typ: "Offline" }, logout: { typ: "Logout" }, events: { events: { "http://schemas.openid.net/event/backchannel-logout": {} } }, "events-null": { events: null }, both: { token_use: "access", typ: "ID" } };
for (const [id, changes] of Object.entries(kinds)) bad(`kind-${id}`, "token_kind_mismatch", "RFC 8725 §3.12", "a token of another kind", token({}, changes));
for (const [id, cnf] of Object.entries({ jkt: { jkt: "x" }, x5t: { "x5t#S256": "x" }, empty: {}, null: null, text: "x" })) bad(`cnf-${id}`, "token_sender_constrained", "RFC 8705 §3, RFC 9449 §6", "a token that is bound to its sender, sent without proof", token({}, { cnf }));
for (const [id, changes] of Object.entries({ other: { client_id: "client-3" }, none: {}, "azp-other": { azp: "client-3" }, list: { client_id: [CLIENT] }, case: { client_id: "Client-1" }, empty: { client_id: "" }, "client-id-first": { client_id: "x", azp: CLIENT }, prefix: { azp: "client" }, "cid": { cid: CLIENT } })) {
  bad(`clients-${id}`, "client_not_allowed", "RFC 9068 §2.2", "a token of another client", token({}, changes), { policy: "clients" });
  bad(`audienceless-${id}`, "client_not_allowed", "RFC 8725 §3.9", "a token without an audience, of another client", token({}, { aud: undefined, ...changes }), { policy: "audienceless" });
}
for (const [id, aud] of Object.entries({ api: AUDIENCE, client: CLIENT, list: [CLIENT], empty: [], "empty-text": "" })) bad(`audienceless-aud-${id}`, "audience_mismatch", "RFC 8725 §3.9", "a token for an audience, where tokens have none", token({}, { aud, client_id: CLIENT }), { policy: "audienceless" });
bad("audienceless-aud-null", "claim_malformed", "RFC 7519 §4.1.3", "aud is null, where tokens have none", token({}, { aud: null, client_id: CLIENT }), { policy: "audienceless" });
bad("several-third", "issuer_mismatch", "RFC 8725 §3.8", "a third issuer", token({}, { iss: "https://third.example.com/" }), { policy: "several" });
bad("several-second-with-first", "signature_invalid", "RFC 8725 §3.8", "the first issuer's name with the second one's key", token({}, {}, { key: k.b }), { policy: "several" });
const tid = "11111111-2222-4333-8444-555555555555";
const foreign = "99999999-2222-4333-8444-555555555555";
const ofTenant = (id, more = {}) => token({}, { iss: `https://login.example.com/${id}/v2.0`, tid: id, ...more });
all("issuer_mismatch", "RFC 8725 §3.8", [["tenants-foreign", "a tenant that is not accepted", ofTenant(foreign)], ["tenants-template", "the template itself", ofTenant("{tenantid}")], ["tenants-common", "common as the tenant", ofTenant("common")], ["tenants-capitals", "the id in capitals", ofTenant(tid.replace("1", "A"))], ["tenants-path", "a tenant with a path", ofTenant(`${tid}/x`)], ["tenants-slash", "a slash at the end", ofTenant(tid, { iss: `https://login.example.com/${tid}/v2.0/` })]], { policy: "tenants" });
bad("tenants-no-tid", "claim_missing", "RFC 8725 §3.8", "no tid", ofTenant(tid, { tid: undefined }), { policy: "tenants" });
bad("tenants-other-tid", "claim_mismatch", "RFC 8725 §3.8", "the tid of another tenant", ofTenant(tid, { tid: foreign }), { policy: "tenants" });
bad("tenants-tid-list", "claim_malformed", "RFC 8725 §3.8", "tid is a list", ofTenant(tid, { tid: [tid] }), { policy: "tenants" });
const rights = { scope: "openid read:items", permissions: ["read", "write"], realm_access: { roles: ["editor"] } };
for (const [id, code, changes] of [
  ["scope-prefix", "insufficient_scope", { scope: "read" }], ["scope-longer", "insufficient_scope", { scope: "read:items:all" }], ["scope-none", "insufficient_scope", { scope: undefined }], ["scope-empty", "insufficient_scope", { scope: "" }], ["scope-number", "insufficient_scope", { scope: 1 }], ["scope-comma", "insufficient_scope", { scope: "openid,read:items" }],
  ["scope-tab", "insufficient_scope", { scope: "openid\tread:items" }], ["scope-joined", "insufficient_scope", { scope: ["openid read:items"] }], ["scope-list-number", "insufficient_scope", { scope: ["read:items", 1] }], ["scope-object", "insufficient_scope", { scope: { "read:items": true } }], ["scope-before-scp", "insufficient_scope", { scope: "x", scp: ["read:items"] }], ["scope-case", "insufficient_scope", { scope: "READ:ITEMS" }],
  ["permissions-text", "insufficient_permissions", { permissions: "read" }], ["permissions-other", "insufficient_permissions", { permissions: ["write"] }], ["permissions-none", "permissions_claim_missing", { permissions: undefined }], ["permissions-null", "permissions_claim_missing", { permissions: null }], ["permissions-number", "insufficient_permissions", { permissions: ["read", 1] }],
  ["roles-other", "insufficient_role", { realm_access: { roles: ["viewer"] } }], ["roles-longer", "insufficient_role", { realm_access: { roles: ["administrator"] } }], ["roles-none", "roles_claim_missing", { realm_access: undefined }], ["roles-dotted", "roles_claim_missing", { realm_access: undefined, "realm_access.roles": ["admin"] }], ["roles-null", "insufficient_role", { realm_access: { roles: { admin: null } } }], ["roles-false", "insufficient_role", { realm_access: { roles: { admin: false } } }],
]) bad(`rights-${id}`, code, "RFC 6750 §3.1", `a right that the token does not grant: ${id}`, token({}, { ...rights, ...changes }), { policy: "rights" });
const idToken = (changes = {}, more = {}) => token(more, { aud: CLIENT, nonce: NONCE, ...changes });
for (const [id, code, changes, more] of [
  ["nonce-other", "nonce_mismatch", { nonce: "n" }], ["nonce-case", "nonce_mismatch", { nonce: NONCE.toLowerCase() }], ["nonce-none", "claim_missing", { nonce: undefined }], ["nonce-number", "claim_malformed", { nonce: 1 }], ["nonce-list", "claim_malformed", { nonce: [NONCE] }], ["nonce-null", "claim_missing", { nonce: null }], ["nonce-empty", "nonce_mismatch", { nonce: "" }],
  ["azp-other", "azp_mismatch", { azp: "client-2" }], ["azp-empty", "azp_mismatch", { azp: "" }], ["azp-number", "claim_malformed", { azp: 1 }], ["aud-two", "audience_mismatch", { aud: [CLIENT, "x"], azp: CLIENT }], ["aud-twice", "claim_missing", { aud: [CLIENT, CLIENT] }], ["aud-api", "audience_mismatch", { aud: AUDIENCE }],
  ["sub-none", "claim_missing", { sub: undefined }], ["sub-empty", "claim_malformed", { sub: "" }], ["sub-unicode", "claim_malformed", { sub: "ü" }], ["sub-256", "claim_malformed", { sub: "s".repeat(256) }], ["iat-none", "claim_missing", { iat: undefined }], ["exp-past", "token_expired", { exp: NOW - 5 }], ["iss-other", "issuer_mismatch", { iss: OTHER_ISSUER }],
  ["access", "typ_not_allowed", {}, { typ: "at+jwt" }], ["logout-typ", "typ_not_allowed", {}, { typ: "logout+jwt" }], ["marked-access", "token_kind_mismatch", { token_use: "access" }], ["marked-bearer", "token_kind_mismatch", { typ: "Bearer" }], ["logout", "token_kind_mismatch", { events: { "http://schemas.openid.net/event/backchannel-logout": {} } }],
]) bad(`id-${id}`, code, "OpenID Connect Core §3.1.3.7", `an ID token that is not for this login: ${id}`, idToken(changes, more), { policy: "id" });
for (const [id, code, changes] of [["aud-untrusted", "audience_mismatch", { aud: [CLIENT, "project-2"], azp: CLIENT }], ["aud-app", "audience_mismatch", { aud: "app-1", azp: "app-1" }], ["aud-trusted-only", "audience_mismatch", { aud: "project-1" }], ["azp-other", "azp_mismatch", { azp: "app-2" }], ["azp-project", "azp_mismatch", { azp: "project-1" }]]) bad(`id-trusted-${id}`, code, "OpenID Connect Core §3.1.3.7", `trusted audiences and apps: ${id}`, idToken(changes), { policy: "idTrusted" });
bad("github-other-repository", "claim_not_allowed", "RFC 8725 §3.8", "a workflow of another repository", jws(header({ kid: "b" }), { iss: "https://token.actions.githubusercontent.com", aud: AUDIENCE, sub: "repo:evil/app:ref:refs/heads/main", repository: "evil/app", iat: NOW - 60, exp: NOW + 600 }, { key: k.b }), { policy: "github-actions" });

/** A part of an id for any text. */
function slug(text) {
  const words = [...text].map((one) => (/[\w+-]/.test(one) ? one : ` ${one.codePointAt(0).toString(16)} `)).join("");
  return words.trim().replaceAll(/ +/g, "-") || "empty";
}

// --- helpers -------------------------------------------------------------------------------------------------------

/** The next character of the alphabet: the same bytes for a decoder that ignores unused bits. */
function next(character) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return alphabet[alphabet.indexOf(character) ^ 1];
}
/** A text with unused bits set. It must not fill its last group. */
function unused(content) {
  const written = base64url(content);
  if (written.length % 4 === 0) return unused(`${content} `);
  return `${written.slice(0, -1)}${next(written.at(-1))}`;
}
function head64() {
  return unused(JSON.stringify(header()));
}
/** A token with these very parts, signed as they are. */
function signedAs(one, two) {
  const signed = Buffer.from(`${one}.${two}`);
  return `${signed}.${base64url(rsaRaw(k.a, pkcs1Encoding(256, signed, 256)))}`;
}
function minus(bytes, one) {
  return Buffer.from((BigInt(`0x${bytes.toString("hex")}`) - one).toString(16).padStart(2 * bytes.length, "0"), "hex");
}
/** A number whose cube begins like this encoding. */
function forgeCube(encoding) {
  const target = BigInt(`0x${encoding.toString("hex")}`);
  let [low, high] = [0n, 1n << 700n];
  while (low < high) {
    const middle = (low + high) >> 1n;
    if (middle ** 3n < target) low = middle + 1n;
    else high = middle;
  }
  return Buffer.from(low.toString(16).padStart(512, "0"), "hex");
}
function signature64(alg, key, text) {
  const signed = parts(jws(header({ alg, x: text.length }), claims(), { key, alg }));
  return Buffer.from(signed[2], "base64url");
}
/** The second half with the order added, where that still fits: another text for the same signature. */
function plusOrder(bytes, order, isLittleEndian) {
  const half = bytes.length / 2;
  const number = (part) => BigInt(`0x${Buffer.from(isLittleEndian ? Buffer.from(part).reverse() : part).toString("hex")}`);
  const sum = (number(bytes.subarray(half)) + number(order)) % (1n << BigInt(8 * half));
  const written = Buffer.from(sum.toString(16).padStart(2 * half, "0"), "hex");
  return Buffer.concat([bytes.subarray(0, half), isLittleEndian ? written.reverse() : written]);
}
