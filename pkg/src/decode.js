import { malformedToken } from "./error.js";

/** Decodes a token without checking anything. */
export function decodeUnverified(token) {
  const parts = typeof token === "string" ? token.split(".") : [];
  if (parts.length !== 3) throw malformed("the text is not three parts separated by dots");
  return { header: decode(parts[0], "header"), payload: decode(parts[1], "payload") };
}

function decode(part, name) {
  if (!/^[\w-]+$/.test(part)) throw malformed(`the ${name} is not base64url`);
  const bytes = attempt(() => Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0)), `the ${name} is not base64url`);
  const text = attempt(() => new TextDecoder("utf-8", { fatal: true }).decode(bytes), `the ${name} is not UTF-8`);
  const value = attempt(() => JSON.parse(text), `the ${name} is not JSON`);
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw malformed(`the ${name} is not an object`);
  return value;
}

/** Runs a step. The error of a parser quotes what it has read, which logs must not show: its place takes a reason of ours. */
function attempt(step, reason) {
  try {
    return step();
  } catch {
    throw malformed(reason);
  }
}

const malformed = (reason) => malformedToken(new TypeError(reason));
