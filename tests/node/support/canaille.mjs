// Canaille, an OpenID provider in Python, on loopback and in memory.

import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const root = resolve(import.meta.dirname, "../../..");

/** The Python that has it, installed when first asked for; empty where there is none. */
export const CANAILLE =
  process.env.EDGEWARD_CANAILLE ??
  execFileSync("bash", ["-c", "source scripts/env.sh && canaille"], { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }).trim();

/**
 * Starts it with one user and some clients.
 *
 * @param {object} options
 * @param {object[]} options.clients metadata of the clients
 * @param {object} options.user      attributes of the user, the password among them
 */
export async function startCanaille({ clients, user }) {
  // RS512 unless the key says otherwise.
  const settings = { host: "127.0.0.1", port: 0, alg: "RS256", secret: randomBytes(32).toString("hex"), clients, user };
  const child = spawn(CANAILLE, [join(import.meta.dirname, "canaille_server.py")], { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  child.stdin.write(`${JSON.stringify(settings)}\n`);
  const failed = exited.then(([code]) => Promise.reject(new Error(`canaille exited with ${code}`)));
  failed.catch(() => {});
  const [port] = await Promise.race([once(createInterface(child.stdout), "line"), failed]);
  const url = `http://127.0.0.1:${port}`;
  return {
    url, issuer: url,
    async stop() {
      child.stdin.end();
      await exited;
    },
  };
}
