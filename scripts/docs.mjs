// Builds the documentation site with VitePress, from the documents of the repository.
// Usage: docs.mjs [FOLDER]; without one, into target/site. The generator is pinned in docs/site and installed into the user's cache, once.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, posix, resolve } from "node:path";
import { ICON, SECTIONS, TOOLS } from "../docs/site/pages.mjs";
import { explainPage } from "./explain-page.mjs";

const root = resolve(import.meta.dirname, "..");
const out = resolve(process.argv[2] ?? join(root, "target/site"));
const { repository, homepage } = JSON.parse(readFileSync(join(root, "project.json"), "utf8"));
const base = new URL(homepage).pathname.replace(/\/?$/, "/");
const pages = SECTIONS.flatMap((section) => section.pages);
const addresses = new Map(pages.map(([file, address]) => [file, address]));
const tools = new Map(TOOLS.map(([folder, address]) => [folder, address]));
/** Lets a link load the whole page, which is not VitePress's. */
const WHOLE = '{target="_self"}';

function command(name, args, options) {
  const { status, stdout, stderr, error } = spawnSync(name, args, { encoding: "utf8", ...options });
  if (status !== 0) throw new Error(`${name} ${args.join(" ")} failed (${status ?? error})\n${stdout}\n${stderr}`);
}

/** Installs the generator and returns its folder. */
function installed() {
  const files = ["package.json", "package-lock.json"];
  const hash = createHash("sha256");
  for (const file of files) hash.update(readFileSync(join(root, "docs/site", file)));
  const cache = process.env.EDGEWARD_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "edgeward");
  const folder = join(cache, `docs-${hash.digest("hex").slice(0, 16)}`);
  const stamp = join(folder, "node_modules/.installed");
  if (!existsSync(stamp)) {
    console.error(`docs: installing the generator, once, into ${folder}`);
    mkdirSync(folder, { recursive: true });
    for (const file of files) copyFileSync(join(root, "docs/site", file), join(folder, file));
    command("npm", ["ci", "--include=dev", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], { cwd: folder });
    writeFileSync(stamp, "");
  }
  return folder;
}

/** A document with its links for the site: to another page, to an image, or to a file of the repository. */
function page(file, assets) {
  const link = (target, fragment) => {
    if (target === "" || /^[a-z]+:/.test(target)) return `${target}${fragment})`;
    const path = posix.normalize(posix.join(posix.dirname(file), target)).replace(/\/$/, "");
    if (addresses.has(path)) return `/${addresses.get(path)}.md${fragment})`;
    if (tools.has(path)) return `/${tools.get(path)}.html)${WHOLE}`;
    if (/\.(?:svg|png)$/.test(path)) {
      assets.add(path);
      return `/${posix.basename(path)})`;
    }
    return `${repository}/blob/main/${path}${fragment})`;
  };
  const text = readFileSync(join(root, file), "utf8");
  // Code keeps its text; so does what stands between backticks on a line.
  return text.replace(/^```[\s\S]*?^```$|`[^`\n]*`|\]\(([^)#\s]*)(#[^)\s]*)?\)/gm, (whole, target, fragment = "") =>
    target === undefined ? whole : `](${link(target, fragment)}`);
}

const work = mkdtempSync(join(installed(), "pages-"));
try {
  const assets = new Set();
  const texts = pages.map(([file, address]) => [address, page(file, assets)]);
  for (const [address, text] of texts) writeFileSync(join(work, `${address}.md`), text);
  mkdirSync(join(work, "public"));
  for (const path of assets) copyFileSync(join(root, path), join(work, "public", posix.basename(path)));
  writeFileSync(join(work, "public/explain.html"), await explainPage(ICON));
  mkdirSync(join(work, ".vitepress"));
  for (const file of ["config.mjs", "pages.mjs"]) copyFileSync(join(root, "docs/site", file), join(work, ".vitepress", file));
  rmSync(out, { recursive: true, force: true });
  command(process.execPath, [join(dirname(work), "node_modules/vitepress/bin/vitepress.js"), "build", work], {
    env: { ...process.env, DOCS_OUT: out, DOCS_BASE: base, DOCS_REPOSITORY: repository },
  });
  // The same pages as plain Markdown, and their list (llmstxt.org).
  for (const [address, text] of texts) writeFileSync(join(out, `${address}.md`), text.replaceAll("](/", `](${base}`).replaceAll(WHOLE, ""));
  const list = ({ text, pages }) =>
    `## ${text}\n\n${pages.map(([, address, title, about]) => `- [${title}](${new URL(`${base}${address}.md`, homepage)}): ${about}`).join("\n")}\n`;
  const head = "# Edgeward\n\n> A guard at the edge: an OAuth and OpenID Connect gateway as a Cloudflare Worker, a token verifier for JavaScript, and a Rust crate, of one core.\n";
  writeFileSync(join(out, "llms.txt"), [head, ...SECTIONS.map(list)].join("\n"));
} finally {
  rmSync(work, { recursive: true, force: true });
}
console.log(`docs: ${pages.length} pages in ${out}`);
