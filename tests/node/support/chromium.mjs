// Chromium, headless: the one that EDGEWARD_CHROMIUM names, else the system's.

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

/** The program, or undefined where there is none. */
export const CHROMIUM = process.env.EDGEWARD_CHROMIUM || found("chromium") || found("chromium-browser") || found("google-chrome");

/** Starts it, with nothing running on its own that would reach for the network. */
export function launchChromium() {
  const quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({ executablePath: CHROMIUM, args: [...quiet, ...sandbox] });
}

function found(name) {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this one.
    }
  }
  return undefined;
}
