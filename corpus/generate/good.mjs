// Tokens that must be accepted: every algorithm and key, every legal spelling of header, claims and key set.

import { AUDIENCE, CLIENT, claims, ending, good, header, jws, ISSUER, NONCE, NOW, OTHER_ISSUER, section, token } from "./corpus.mjs";
import * as k from "./keys.mjs";
import { base64url, orderOf, toBytes } from "./sign.mjs";

section("good-algorithms", "Every algorithm with keys of every size.");
for (const alg of ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]) {
  for (const [kid, key] of [["b", k.b], ["e3", k.e3], ["r3072", k.r3072], ["r4096", k.r4096]]) {
    good(`${alg}-${kid}`, "RFC 7518 §3.1", `${alg} with a key that is published for any algorithm of RSA`, token({ alg, kid }, {}, { key }), { policy: "rsa" });
  }
}
good("RS256-r8192", "RFC 7518 §3.3", "a key of 8192 bits", token({ kid: "r8192" }, {}, { key: k.r8192 }));
good("PS512-r8192", "RFC 7518 §3.5", "a key of 8192 bits", token({ alg: "PS512", kid: "r8192" }, {}, { key: k.r8192 }), { policy: "rsa" });
good("PS256-key-alg", "RFC 7517 §4.4", "a key that is published for PS256", token({ alg: "PS256", kid: "ps" }, {}, { key: k.c }), { policy: "rsa" });
for (const [alg, kid, key] of [["ES256", "p256", k.p256], ["ES384", "p384", k.p384], ["EdDSA", "ed", k.ed], ["Ed25519", "ed", k.ed]]) {
  const at = { policy: "curves" };
  good(`${alg}-key-alg`, "RFC 7518 §3.4, RFC 8037 §3.1, RFC 9864 §2.2", `${alg} with a key that is published for it`, token({ alg, kid }, {}, { key }), at);
  good(`${alg}-plain-key`, "RFC 7517 §4.4", `${alg} with a key whose alg is absent`, token({ alg, kid }, {}, { key }), { ...at, keys: "curvesPlain" });
  good(`${alg}-no-kid`, "RFC 7515 §4.1.4", "no kid, and one key of the curve", token({ alg, kid: undefined }, {}, { key }), { ...at, keys: "curvesNoKid" });
  good(`${alg}-one-kid`, "RFC 7517 §4.5", "a kid that keys of other types have, too", token({ alg, kid: "k" }, {}, { key }), { ...at, keys: "curvesOneKid" });
  good(`${alg}-no-typ`, "RFC 7519 §5.1", "typ is optional", token({ alg, kid, typ: undefined }, {}, { key }), at);
  good(`${alg}-unicode`, "RFC 7519 §4.3", "claims beyond ASCII", token({ alg, kid }, { name: "Zoë 🌍" }, { key }), at);
}
good("Ed25519-named-key", "RFC 9864 §2.2", "a key that is published for Ed25519, by that name", token({ alg: "EdDSA", kid: "ed" }, {}, { key: k.ed }), { policy: "curves", keys: "ed25519Name" });
good("RS256-beside-curves", "RFC 7517 §5", "RS256 in a set of several families", token(), { policy: "curves" });
for (const [alg, kid, key, crv] of [["ES256", "p256", k.p256, "P-256"], ["ES384", "p384", k.p384, "P-384"]]) {
  const order = BigInt(`0x${orderOf(crv).toString("hex")}`);
  const negated = (made) => {
    const half = made.length / 2;
    const s = BigInt(`0x${made.subarray(half).toString("hex")}`);
    return Buffer.concat([made.subarray(0, half), toBytes(order - s, half)]);
  };
  good(`${alg}-other-s`, "FIPS 186-5 §6.4.2", "s and n - s both verify: JWA does not require the lower one", token({ alg, kid }, {}, { key, with: negated }), { policy: "curves" });
}
good("alg-several-listed", "RFC 8725 §3.1", "one of several listed algorithms", token({ alg: "RS512", kid: "b" }, {}, { key: k.b }), { policy: "rsa" });
good("kid-absent-one-key", "RFC 7515 §4.1.4", "no kid, and one key", token({ kid: undefined }), { keys: "single" });
good("kid-present-key-without", "RFC 7515 §4.1.4", "no kid, and one key for each algorithm", token({ kid: undefined }), { keys: "oneForEach", policy: "rsa" });
good("kid-absent-ps256", "RFC 7515 §4.1.4", "no kid, and one key for each algorithm", token({ alg: "PS256", kid: undefined }, {}, { key: k.b }), { keys: "oneForEach", policy: "rsa" });
good("kid-absent-rs512", "RFC 7515 §4.1.4", "no kid, and one key for each algorithm", token({ alg: "RS512", kid: undefined }, {}, { key: k.c }), { keys: "oneForEach", policy: "rsa" });

section("good-header", "Every legal form of a header.");
const headers = {
  "typ-absent": ["RFC 7519 §5.1", "typ is optional", { typ: undefined }],
  "typ-lower": ["RFC 7515 §4.1.9", "media types are compared without regard to case", { typ: "jwt" }],
  "typ-mixed": ["RFC 2045 §5.1", "media types are compared without regard to case", { typ: "Jwt" }],
  "typ-long": ["RFC 7515 §4.1.9", "application/ may be written out", { typ: "application/jwt" }],
  "typ-long-upper": ["RFC 7515 §4.1.9", "application/ may be written out, in any case", { typ: "APPLICATION/JWT" }],
  "typ-at-jwt": ["RFC 9068 §2.1", "the type of access tokens", { typ: "at+jwt" }],
  "typ-at-jwt-long": ["RFC 9068 §2.1", "the same with application/", { typ: "application/at+jwt" }],
  "typ-at-jwt-upper": ["RFC 9068 §2.1", "the same in capitals", { typ: "AT+JWT" }],
  "cty-jwt": ["RFC 7519 §5.2", "cty without nesting says nothing", { cty: "JWT" }],
  "cty-json": ["RFC 7515 §4.1.10", "cty of JSON", { cty: "application/json" }],
  "unknown-text": ["RFC 7515 §4", "unknown parameters are ignored", { "x-own": "value" }],
  "unknown-number": ["RFC 7515 §4", "unknown parameters are ignored, whatever their type", { iat: 1_700_000_000 }],
  "unknown-object": ["RFC 7515 §4", "an object", { epk: { kty: "EC", x: [1, { y: null }] } }],
  "unknown-list": ["RFC 7515 §4", "a list", { extra: [1, "two", null, true] }],
  "unknown-null": ["RFC 7515 §4", "null", { nonce: null }],
  "unknown-float": ["RFC 8259 §6", "a fraction with an exponent", { ver: 1.5e-7 }],
  "claims-in-header": ["RFC 7519 §5.3", "claims repeated in the header", { iss: ISSUER, sub: "x", aud: "x" }],
  "p2c": ["RFC 7518 §4.8", "parameters of encryption are ignored, and cost nothing", { p2c: 2_147_483_647, p2s: "AAAA", enc: "A256GCM", zip: "DEF" }],
  "x5t": ["RFC 7515 §4.1.7", "thumbprints of certificates are ignored", { x5t: "AAAAAAAAAAAAAAAAAAAAAAAAAAA", "x5t#S256": "AAAA" }],
  "jku-ignored": ["RFC 7515 §4.1.2", "jku is never followed: the signature is the published key's", { jku: "https://evil.example/keys.json" }],
  "x5u-ignored": ["RFC 7515 §4.1.5", "x5u is never followed", { x5u: "https://evil.example/cert.pem" }],
  "jwk-ignored": ["RFC 7515 §4.1.3", "a key in the header is never used: the signature is the published key's", { jwk: k.jwk(k.b) }],
  "x5c-ignored": ["RFC 7515 §4.1.6", "certificates are ignored", { x5c: ["MIIB", "MIIC"] }],
  "name-proto": ["RFC 8259 §4", "a parameter called __proto__", JSON.parse('{"__proto__":{"alg":"none"}}')],
  "name-empty": ["RFC 8259 §4", "a parameter with an empty name", { "": 1 }],
  "name-case": ["RFC 7515 §4", "names are compared with regard to case: Alg is another parameter", { Alg: "none", KID: "b", Crit: ["exp"] }],
};
for (const [id, [rule, why, changes]] of Object.entries(headers)) good(`header-${id}`, rule, why, jws(header(changes), claims()));
const spelled = (id, rule, why, head) => good(`header-${id}`, rule, why, jws(head, claims()));
spelled("order", "RFC 8259 §4", "members in another order", '{"kid":"a","typ":"JWT","alg":"RS256"}');
spelled("spaces", "RFC 8259 §2", "whitespace around everything", ' {\t"alg" :\r\n"RS256" , "kid":"a" }\n');
spelled("escaped-name", "RFC 8259 §7", "a name written with escapes", '{"\\u0061lg":"RS256","k\\u0069d":"a"}');
spelled("escaped-value", "RFC 8259 §7", "a value written with escapes", '{"alg":"\\u0052S256","kid":"\\u0061"}');
spelled("solidus", "RFC 8259 §7", "an escaped solidus", '{"alg":"RS256","kid":"a","typ":"application\\/at+jwt"}');
spelled("depth-16", "RFC 8259 §9", "as deep as is accepted", `{"alg":"RS256","kid":"a","x":${"[".repeat(15)}${"]".repeat(15)}}`);
spelled("big-integer", "RFC 8259 §6", "an integer of 30 digits in a parameter that is not read", `{"alg":"RS256","kid":"a","x":${"9".repeat(30)}}`);
spelled("surrogate-pair", "RFC 8259 §7", "a character written as two escapes", '{"alg":"RS256","kid":"a","x":"\\ud83c\\udf0d"}');
spelled("utf-8", "RFC 8259 §8.1", "characters of two to four bytes", '{"alg":"RS256","kid":"a","x":"é€🌍"}');
spelled("many", "RFC 7515 §4", "a hundred unknown parameters", `{"alg":"RS256","kid":"a",${Array.from({ length: 100 }, (_, index) => `"x${index}":${index}`).join()}}`);
spelled("long", "RFC 7515 §4", "a header of 4 KiB", `{"alg":"RS256","kid":"a","x":"${"x".repeat(4096 - 32)}"}`);
for (const [id, keys, kid] of [["length-256", "longKid", "k".repeat(256)], ["unicode", "unicodeKid", "schlüssel-🔑"], ["empty", "emptyKid", ""], ["url", "urlKid", "https://keys.example.com/../a?b#c"], ["case", "caseKids", "k"]]) {
  good(`kid-${id}`, "RFC 7515 §4.1.4", "a kid is any text, compared exactly", token({ kid }), { keys });
}

section("good-keys", "Key sets as issuers publish them.");
for (const [keys, rule, why] of [
  ["paddedN", "RFC 7518 §6.3.1", "a modulus with padding: the number is the same"], ["paddedE", "RFC 7518 §6.3.1", "an exponent with too much padding"],
  ["standardAlphabet", "RFC 7518 §6.3.1", "a modulus in the standard alphabet"], ["leadingZero", "RFC 7518 §2", "a leading zero before the modulus"],
  ["leadingZeroE", "RFC 7518 §2", "a leading zero before the exponent"], ["nulls", "RFC 7517 §4", "members without a value"],
  ["byteOrderMark", "RFC 8259 §8.1", "a byte order mark before the document"], ["sameTwice", "RFC 7517 §4.5", "the same key twice"],
  ["sameTwiceWithAlg", "RFC 7517 §4.5", "the same key twice, once with its alg"], ["nullEntries", "RFC 7517 §5", "entries that are no keys"],
  ["unusedAround", "RFC 7517 §5", "three hundred keys of other kinds"], ["chains", "RFC 7517 §4.7", "chains of certificates"],
  ["unknownMembers", "RFC 7517 §4", "unknown members are ignored"], ["keyOps", "RFC 7517 §4.3", "key_ops with verify"],
  ["keyOpsMore", "RFC 7517 §4.3", "key_ops with verify and another"], ["whitespace", "RFC 8259 §2", "whitespace"], ["escapes", "RFC 8259 §7", "names and values written with escapes"],
  ["postQuantum", "RFC 7517 §5", "a key of a type that is not known"], ["unknownCurve", "RFC 7517 §5", "keys on curves that are not known"],
  ["oneMalformed", "RFC 7517 §5", "malformed keys beside the good one"], ["kidOfOtherType", "RFC 7517 §5", "a key whose kid is a number beside the good one"],
  ["sameKidOtherFamily", "RFC 7517 §4.5", "one kid for keys of different types"], ["extraTop", "RFC 7517 §5", "unknown members beside keys"],
  ["duplicateInOther", "RFC 7517 §4", "a duplicate name inside another key costs that key only"], ["deepKey", "RFC 7517 §4", "an unknown member nested forty levels deep"],
]) good(`keys-${keys}`, rule, why, token({ kid: "k" }), { keys });

section("good-claims", "Every legal form of claims.");
const bodies = {
  "aud-list": ["RFC 7519 §4.1.3", "a list of audiences with ours", { aud: ["https://x.example", AUDIENCE] }],
  "aud-list-one": ["RFC 7519 §4.1.3", "a list of one audience", { aud: [AUDIENCE] }],
  "aud-list-long": ["RFC 7519 §4.1.3", "a list of a hundred audiences", { aud: [...Array.from({ length: 99 }, (_, index) => `https://api-${index}.example.com`), AUDIENCE] }],
  "aud-list-twice": ["RFC 7519 §4.1.3", "the same audience twice", { aud: [AUDIENCE, AUDIENCE] }],
  "no-sub": ["RFC 7519 §4.1.2", "sub is optional", { sub: undefined }],
  "no-iat": ["RFC 7519 §4.1.6", "iat is optional", { iat: undefined }],
  "sub-empty": ["RFC 7519 §4.1.2", "an empty sub", { sub: "" }],
  "sub-unicode": ["RFC 7519 §2", "a sub beyond ASCII", { sub: "użytkownik-🌍" }],
  "sub-long": ["RFC 7519 §4.1.2", "a sub of 1,000 characters", { sub: "s".repeat(1000) }],
  "jti": ["RFC 7519 §4.1.7", "jti", { jti: "b6b1f9a4" }],
  "jti-number": ["RFC 7519 §4", "a claim that no rule reads is not type-checked", { jti: 7 }],
  "scope-number": ["RFC 7519 §4", "a scope of another type grants nothing, and refuses nothing", { scope: 1 }],
  "null-claims": ["RFC 7519 §4", "claims that are null count as absent", { scope: null, org_id: null, azp: null, nonce: null, jti: null }],
  "nested": ["RFC 7519 §4", "deeply nested claims", { a: { b: { c: [{ d: [[[["e"]]]] }] } } }],
  "url-names": ["RFC 7519 §4.2", "names that are URLs", { "https://example.com/roles": ["x"], "urn:x": 1 }],
  "numbers": ["RFC 8259 §6", "numbers of every form in claims that no rule reads", { a: 0, b: -1, c: 1.5e10, d: 1e-7, e: -0.5 }],
  "booleans": ["RFC 7519 §4", "email_verified", { email: "a@example.com", email_verified: true }],
  "act": ["RFC 8693 §4.1", "an actor", { act: { sub: "service-1", act: { sub: "service-2" } } }],
  "nonce-with-scope": ["RFC 9068 §2.2", "a nonce beside scopes: some providers repeat it in access tokens", { nonce: "n", scope: "openid" }],
  "token-use-access": ["RFC 8725 §3.12", "marked as an access token", { token_use: "access" }],
  "typ-claim-bearer": ["RFC 8725 §3.12", "marked as a bearer token", { typ: "Bearer" }],
  "empty-name": ["RFC 8259 §4", "a claim with an empty name", { "": "x" }],
  "alg-claim": ["RFC 7519 §4", "claims with the names of header parameters", { alg: "none", kid: "b", crit: ["x"] }],
  "iss-once": ["RFC 7519 §4.1.1", "iss inside a nested object is another member", { nested: { iss: "https://evil.example/", exp: 0 } }],
};
for (const [id, [rule, why, changes]] of Object.entries(bodies)) good(`claims-${id}`, rule, why, token({}, changes));
const written = (id, rule, why, body) => good(`claims-${id}`, rule, why, jws(header(), body));
written("spaces", "RFC 8259 §2", "whitespace around everything", `\r\n ${JSON.stringify(claims(), undefined, 3)}\t`);
written("escaped-name", "RFC 8259 §7", "a name written with escapes", JSON.stringify(claims()).replace('"iss"', '"\\u0069\\u0073s"'));
written("escaped-value", "RFC 8259 §7", "a value written with escapes", JSON.stringify(claims()).replace("https://issuer", "\\u0068ttps:\\/\\/issuer"));
written("proto", "RFC 8259 §4", "a claim called __proto__", ending(claims(), '"__proto__":{"admin":true}'));
written("exp-exponent", "RFC 7519 §2", "exp with an exponent", JSON.stringify(claims()).replace(`${NOW + 600}`, "1.8000006e9"));
written("exp-fraction", "RFC 7519 §2", "exp with a fraction", JSON.stringify(claims()).replace(`${NOW + 600}`, `${NOW + 600}.25`));
written("exp-dot-zero", "RFC 7519 §2", "exp with a fraction of zero", JSON.stringify(claims()).replace(`${NOW + 600}`, `${NOW + 600}.0`));
written("depth-64", "RFC 8259 §9", "as deep as is accepted", ending(claims(), `"x":${"[".repeat(63)}${"]".repeat(63)}`));
written("big-integer", "RFC 8259 §6", "an integer of 300 digits in a claim that no rule reads", ending(claims(), `"x":${"9".repeat(300)}`));
written("escaped-controls", "RFC 8259 §7", "every short escape", ending(claims(), String.raw`"x":"\"\\\/\b\f\n\r\t\u0000"`));
written("separator", "RFC 8259 §7", "U+2028 and U+FEFF inside a text", ending(claims(), '"x":"\u2028\ufeff"'));
written("many", "RFC 7519 §4", "five hundred claims", ending(claims(), Array.from({ length: 500 }, (_, index) => `"c${index}":${index}`).join()));
written("order", "RFC 8259 §4", "exp first, iss last", JSON.stringify(Object.fromEntries(Object.entries(claims()).reverse())));

section("good-times", "Times at the last accepted second.");
for (const [policy, skew] of [["exact", 0], ["rs256", 5], ["lenient", 60]]) {
  const at = { policy };
  good(`exp-last-${skew}`, "RFC 7519 §4.1.4", `the last second before exp, with a skew of ${skew} s`, token({}, { exp: NOW - skew + 1 }), at);
  good(`nbf-first-${skew}`, "RFC 7519 §4.1.5", `the first second of nbf, with a skew of ${skew} s`, token({}, { nbf: NOW + skew }), at);
  good(`iat-ahead-${skew}`, "RFC 7519 §4.1.6", `iat as far ahead as the skew of ${skew} s allows`, token({}, { iat: NOW + skew }), at);
  good(`exp-fraction-${skew}`, "RFC 7519 §2", "half a second before exp", token({}, { exp: NOW - skew + 0.5 }), at);
  good(`nbf-fraction-${skew}`, "RFC 7519 §2", "half a second after nbf", token({}, { nbf: NOW + skew - 0.5 }), at);
  good(`nbf-zero-${skew}`, "RFC 7519 §4.1.5", "nbf in 1970", token({}, { nbf: 0 }), at);
  good(`iat-zero-${skew}`, "RFC 7519 §4.1.6", "iat in 1970", token({}, { iat: 0 }), at);
  good(`exp-9999-${skew}`, "RFC 7519 §4.1.4", "the last second of the year 9999", token({}, { exp: 253_402_300_799 }), at);
  good(`exp-2038-${skew}`, "RFC 7519 §4.1.4", "past 2038", token({}, { exp: 2_147_483_648 }), at);
}
good("age-last", "RFC 8725 §3.10", "the last second of the largest age", token({}, { iat: NOW - 304 }), { policy: "age" });
good("age-now", "RFC 8725 §3.10", "issued this second", token({}, { iat: NOW }), { policy: "age" });
good("iat-after-exp", "RFC 7519 §4.1", "iat and exp are not compared with each other", token({}, { iat: NOW + 4, exp: NOW + 3 }));

section("good-policies", "Tokens that meet each rule of a policy.");
good("aud-second", "RFC 7519 §4.1.3", "the second accepted audience", token({}, { aud: "urn:api" }), { policy: "audiences" });
good("aud-both", "RFC 7519 §4.1.3", "both accepted audiences", token({}, { aud: ["urn:api", AUDIENCE] }), { policy: "audiences" });
good("rfc9068-complete", "RFC 9068 §2.2", "every required claim", token({ typ: "at+jwt" }, { client_id: CLIENT, jti: "j-1" }), { policy: "rfc9068" });
good("rfc9068-long", "RFC 9068 §2.1", "the long form of the type", token({ typ: "application/at+jwt" }, { client_id: CLIENT, jti: "j-1", scope: "a b", auth_time: NOW - 90, acr: "1", amr: ["pwd"] }), { policy: "rfc9068" });
good("jwt-only", "RFC 7519 §5.1", "a type of JWT where no other is accepted", token(), { policy: "jwtOnly" });
good("jwt-only-absent", "RFC 7519 §5.1", "no type there", token({ typ: undefined }), { policy: "jwtOnly" });
for (const typ of ["custom+jwt", "application/custom+jwt", "CUSTOM+JWT", "JWT", "at+jwt"]) good(`types-${typ.replace("/", "-")}`, "RFC 8725 §3.11", "one of the accepted types", token({ typ }), { policy: "types" });
for (const [id, body] of [["client-id", { client_id: CLIENT }], ["azp", { azp: CLIENT }], ["second", { client_id: "client-2" }], ["both", { client_id: CLIENT, azp: "x" }]]) {
  good(`clients-${id}`, "RFC 9068 §2.2", "a token of an accepted client", token({}, body), { policy: "clients" });
  if (id !== "second") good(`audienceless-${id}`, "RFC 8725 §3.9", "a token without an audience, of an accepted client", token({}, { aud: undefined, ...body }), { policy: "audienceless" });
}
good("several-first", "RFC 8725 §3.8", "the first of two issuers", token(), { policy: "several" });
good("several-second", "RFC 8725 §3.8", "the second of two issuers, whose key has the same kid", token({}, { iss: OTHER_ISSUER }, { key: k.b }), { policy: "several" });
const tid = "11111111-2222-4333-8444-555555555555";
good("tenants-own", "RFC 8725 §3.8", "an accepted tenant", token({}, { iss: `https://login.example.com/${tid}/v2.0`, tid }), { policy: "tenants" });
const rights = { scope: "openid read:items", permissions: ["read", "write"], realm_access: { roles: ["editor"] } };
for (const [id, changes] of Object.entries({
  all: {}, "scope-list": { scope: ["read:items"] }, "scp-list": { scope: undefined, scp: ["a", "read:items"] }, "scp-text": { scope: undefined, scp: "read:items a" },
  "scope-null": { scope: null, scp: "read:items" }, "roles-text": { realm_access: { roles: "admin" } }, "roles-object": { realm_access: { roles: { admin: {}, x: null } } },
  "double-spaces": { scope: "openid  read:items " }, "more-roles": { realm_access: { roles: ["x", "admin"] } },
})) good(`rights-${id}`, "RFC 6750 §3.1, RFC 8693 §4.2", "every required right", token({}, { ...rights, ...changes }), { policy: "rights" });
const idToken = (changes = {}) => token({}, { aud: CLIENT, nonce: NONCE, ...changes });
for (const [id, changes] of Object.entries({
  plain: {}, list: { aud: [CLIENT] }, azp: { azp: CLIENT }, hash: { at_hash: "x", c_hash: "y" }, profile: { name: "Zoë", email: "a@example.com", email_verified: true, picture: null },
  "auth-time": { auth_time: NOW - 90, acr: "1", amr: ["pwd", "otp"] }, "typ-id": { typ: "ID" }, "token-use": { token_use: "id" }, sid: { sid: "s-1" },
})) good(`id-${id}`, "OpenID Connect Core §3.1.3.7", "an ID token for this login", idToken(changes), { policy: "id" });
for (const [id, changes] of Object.entries({ client: {}, app: { azp: "app-1" }, trusted: { aud: [CLIENT, "project-1"], azp: CLIENT }, "trusted-app": { aud: ["project-1", CLIENT], azp: "app-1" } })) {
  good(`id-trusted-${id}`, "OpenID Connect Core §3.1.3.7", "trusted audiences and apps", idToken(changes), { policy: "idTrusted" });
}
