// Files of users: what cannot be read is a problem in words.

import { open } from "node:fs/promises";
import { Failure, UsageError } from "./terminal.js";

const REASONS = { ENOENT: "there is no such file", EACCES: "permission denied", EPERM: "permission denied", EISDIR: "it is a directory", ENOTDIR: "there is no such file" };

/** Reads a text of at most `limit` bytes. Returns `{ text }` or `{ problem }`, in words. */
export async function readDocument(file, limit) {
  let bytes;
  try {
    const handle = await open(file, "r");
    try {
      const buffer = Buffer.alloc(limit + 1);
      let length = 0;
      for (let read = 1; read > 0 && length <= limit; length += read) ({ bytesRead: read } = await handle.read(buffer, length, buffer.length - length));
      bytes = buffer.subarray(0, length);
    } finally {
      await handle.close();
    }
  } catch (error) {
    return { problem: `cannot be read: ${REASONS[error.code] ?? error.code ?? "unknown reason"}` };
  }
  if (bytes.length > limit) return { problem: "is too large" };
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return { problem: "is not UTF-8" };
  }
  return text.trim() === "" ? { problem: "is empty" } : { text };
}

const MAX_INPUT_CHARACTERS = 1 << 20;

/** Reads a token from the standard input. */
export async function standardInput() {
  if (process.stdin.isTTY) throw new UsageError("there is no token on the standard input");
  let text = "";
  process.stdin.setEncoding("utf8");
  for await (const chunk of process.stdin) {
    text += chunk;
    if (text.length > MAX_INPUT_CHARACTERS) throw new Failure("the standard input is too long for a token");
  }
  return text.trim();
}
