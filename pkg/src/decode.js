import { malformedToken } from "./error.js";

/** Decodes a token without checking anything. */
export function decodeUnverified(token) {
  try {
    const parts = token.split(".");
    if (parts.length !== 3) throw new TypeError("not three parts");
    const [header, payload] = parts.slice(0, 2).map((part) => JSON.parse(decode(part)));
    for (const part of [header, payload]) {
      if (part === null || typeof part !== "object" || Array.isArray(part)) throw new TypeError("not an object");
    }
    return { header, payload };
  } catch (cause) {
    throw malformedToken(cause);
  }
}

function decode(part) {
  if (!/^[\w-]+$/.test(part)) throw new TypeError("not base64url");
  const binary = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
  return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
}
