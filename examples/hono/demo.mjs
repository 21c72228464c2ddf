// A stand-in for an identity provider: a key pair for this run, its public key set, and a token signed with it.

const base64url = (bytes) => Buffer.from(bytes).toString("base64url");

export async function demoIssuer(audience) {
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) };
  const { publicKey, privateKey } = await crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]);
  const { kty, n, e } = await crypto.subtle.exportKey("jwk", publicKey);
  const issuer = "https://demo.example.com/";
  const now = Math.floor(Date.now() / 1000);
  const header = { alg: "RS256", typ: "JWT", kid: "demo" };
  const claims = { iss: issuer, sub: "demo-user", aud: audience, iat: now, exp: now + 3600, scope: "read:items" };
  const signed = [header, claims].map((part) => base64url(JSON.stringify(part))).join(".");
  const signature = await crypto.subtle.sign(algorithm.name, privateKey, Buffer.from(signed));
  return { issuer, jwks: { keys: [{ kty, n, e, kid: "demo", alg: "RS256", use: "sig" }] }, token: `${signed}.${base64url(signature)}` };
}
