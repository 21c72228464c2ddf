// docs/session-format.md, implemented once more: seals and opens what the gateway does, with node's ChaCha20-Poly1305.

import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from "node:crypto";

const VERSION = 2;
const NONCE_BYTES = 24;
const TAG_BYTES = 16;

/** Seals a text for a purpose (`session`, `login`, `refresh`), a host and a login (`{ issuer, clientId, audience }`). */
export function seal(secret, purpose, host, login, text, nonce = randomBytes(NONCE_BYTES)) {
  const { key, iv } = subkey(secret, purpose, nonce);
  const cipher = createCipheriv("chacha20-poly1305", key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(associatedData(purpose, host, login));
  const sealed = [cipher.update(text), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat([Buffer.of(VERSION), nonce, ...sealed]).toString("base64url");
}

/** The text that was sealed; throws if it was not, for this purpose, host and login. */
export function open(secret, purpose, host, login, value) {
  const bytes = Buffer.from(value, "base64url");
  if (bytes[0] !== VERSION) throw new Error(`version ${bytes[0]}`);
  const { key, iv } = subkey(secret, purpose, bytes.subarray(1, 1 + NONCE_BYTES));
  const decipher = createDecipheriv("chacha20-poly1305", key, iv, { authTagLength: TAG_BYTES });
  decipher.setAAD(associatedData(purpose, host, login));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  return decipher.update(bytes.subarray(1 + NONCE_BYTES, -TAG_BYTES)).toString() + decipher.final().toString();
}

/** The `Cookie` header of a session of one chunk. */
export const sessionCookie = (secret, host, login, session, name = "__Host-edgeward") =>
  `${name}=1.${seal(secret, "session", host, login, typeof session === "string" ? session : JSON.stringify(session))}`;

/** The cookies of a pending login, as name and value: for a `state`, begun at a time in milliseconds, with a destination. */
export function loginCookies(secret, host, login, state, { issued, destination, isRestart = false, parameters = "" }) {
  const nonce = createHash("sha256").update(state).digest().subarray(0, NONCE_BYTES);
  const { key, iv } = subkey(secret, "login", nonce);
  const cipher = createCipheriv("chacha20-poly1305", key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(associatedData("login", host, login));
  const time = Buffer.alloc(8);
  time.writeBigInt64BE(BigInt(issued));
  const content = Buffer.concat([Buffer.of(isRestart ? 1 : 0), time, Buffer.from(destination + (parameters && `\n${parameters}`))]);
  const sealed = Buffer.concat([cipher.update(content), cipher.final(), cipher.getAuthTag()]).toString("base64url");
  const name = `__Host-edgeward-login-${state.replace(/[^A-Za-z0-9]/g, "").slice(0, 8)}`;
  const chunks = sealed.match(/.{1,3500}/g);
  return chunks.map((chunk, index) => (index ? [`${name}.${index}`, chunk] : [name, `${chunks.length}.${chunk}`]));
}

/** A session as the gateway seals it, with changes. */
export function session({ now = Math.floor(Date.now() / 1000), ...changes } = {}) {
  return {
    v: 2, id: randomBytes(16).toString("base64url"), iat: now, login: now, seen: now, nonce: "n", claims: { sub: "alice" }, rights: null, unread: null,
    at: "opaque", at_iat: now, at_exp: now + 3600, rt: null, idt: null, ...changes,
  };
}

/** The key and nonce of the inner cipher: HChaCha20 over the first 16 bytes of the nonce. */
function subkey(secret, purpose, nonce) {
  const key = Buffer.from(hkdfSync("sha256", secret, "edgeward", purpose, 32));
  return { key: hchacha20(key, nonce.subarray(0, 16)), iv: Buffer.concat([Buffer.alloc(4), nonce.subarray(16)]) };
}

function associatedData(purpose, host, { issuer, clientId, audience }) {
  const parts = [purpose, host, issuer, clientId, ...[...new Set(audience)].sort()].map((part) => Buffer.from(part));
  return Buffer.concat(parts.flatMap((part) => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(part.length));
    return [length, part];
  }));
}

/** HChaCha20 (draft-irtf-cfrg-xchacha §2.2). */
function hchacha20(key, nonce) {
  const state = new Uint32Array(16);
  state.set([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]);
  for (let i = 0; i < 8; i += 1) state[4 + i] = key.readUInt32LE(4 * i);
  for (let i = 0; i < 4; i += 1) state[12 + i] = nonce.readUInt32LE(4 * i);
  const rotated = (word, bits) => (word << bits) | (word >>> (32 - bits));
  const quarter = (a, b, c, d) => {
    for (const [x, y, z, bits] of [[a, b, d, 16], [c, d, b, 12], [a, b, d, 8], [c, d, b, 7]]) {
      state[x] += state[y];
      state[z] = rotated(state[z] ^ state[x], bits);
    }
  };
  for (let round = 0; round < 10; round += 1) {
    for (let i = 0; i < 4; i += 1) quarter(i, 4 + i, 8 + i, 12 + i);
    for (let i = 0; i < 4; i += 1) quarter(i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4));
  }
  const out = Buffer.alloc(32);
  for (const [index, word] of [0, 1, 2, 3, 12, 13, 14, 15].entries()) out.writeUInt32LE(state[word], 4 * index);
  return out;
}
