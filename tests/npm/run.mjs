// Packs and installs the package, runs the suite in every runtime, and compares the verdicts on the corpus with those of the native program.
// Usage: run.mjs [--write] [RUNTIME …]; --write updates the table of runtimes in the README.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { makeFixtures } from "./fixtures.mjs";
import { pack, root, run } from "./install.mjs";
import { project, runtimes } from "./runtimes.mjs";
import { startServer } from "./server.mjs";

const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const names = Object.keys(runtimes).filter((name) => wanted.length === 0 || wanted.some((one) => name.toLowerCase().includes(one.toLowerCase())));
const temporary = mkdtempSync(join(tmpdir(), "edgeward-npm-"));
const folder = join(temporary, "project");
let passed = 0;
let failed = 0;
let server;

try {
  server = await startServer(folder);
  const { issuer, token, redirect } = server;
  const fixtures = { ...(await makeFixtures()), live: { issuer, token, redirect } };
  await project(folder, await pack(temporary), fixtures);

  const expected = await native(fixtures);
  console.log(`native: ${expected.length} verdicts`);
  const ran = [];
  for (const name of names) {
    const started = performance.now();
    try {
      const { report, version, missing } = await runtimes[name]({ folder, server });
      const took = `${((performance.now() - started) / 1000).toFixed(1)} s`;
      if (missing) {
        console.log(`not run: ${name}: ${missing}`);
        continue;
      }
      const differences = expected.flatMap((verdict, index) => {
        const { policy, name } = fixtures.corpus[index];
        return report.verdicts[index] === verdict ? [] : [`${policy}: ${name}: native says ${verdict}, here it is ${report.verdicts[index]}`];
      });
      // The comparison as a whole is one test.
      passed += report.passed + (differences.length === 0 ? 1 : 0);
      failed += report.failures.length + (differences.length === 0 ? 0 : 1);
      console.log(`${name} ${version}: ${report.passed} passed, ${report.failures.length} failed, ${differences.length} verdicts differ from native (${took})`);
      for (const text of [...report.failures, ...differences].slice(0, 10)) console.log(`  ${text}`);
      if (report.failures.length === 0 && differences.length === 0) ran.push([name, version]);
    } catch (error) {
      failed += 1;
      console.log(`${name}: FAILED\n${error.stack}`);
    }
  }
  table(ran);
} finally {
  await server?.stop();
  rmSync(temporary, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

/** Returns the native verdicts, in the order of the corpus. */
async function native({ now, policies, corpus }) {
  const file = join(temporary, "corpus.json");
  // Rust strings have no lone surrogates; TextEncoder replaces them the same way.
  writeFileSync(file, JSON.stringify({ now, policies, corpus: corpus.map(({ policy, token }) => ({ policy, token: token.toWellFormed() })) }));
  // As the native tests build it: nothing is compiled again. They may be compiling: no time limit.
  await run("cargo", ["build", "--locked", "--quiet", "--profile", "test", "--workspace", "--all-features", "--example", "verdicts"], { cwd: root, timeout: 0 });
  const program = resolve(root, process.env.CARGO_TARGET_DIR ?? "target", "debug/examples/verdicts");
  return (await run(program, [file], { cwd: root })).trim().split("\n");
}

/** Compares the README's table with the runtimes tested, or updates it. */
function table(ran) {
  const file = join(root, "pkg/README.md");
  const readme = readFileSync(file, "utf8");
  const [from, to] = ["<!-- runtimes -->\n", "<!-- /runtimes -->"].map((mark) => readme.indexOf(mark));
  if (from < 0 || to < 0) throw new Error("pkg/README.md has no table of runtimes");
  const start = from + "<!-- runtimes -->\n".length;
  const rows = ["| runtime or bundler | version tested |", "|---|---|", ...ran.map(([name, version]) => `| ${name} | ${version} |`)];
  if (process.argv.includes("--write")) {
    writeFileSync(file, `${readme.slice(0, start)}${rows.join("\n")}\n${readme.slice(to)}`);
    return;
  }
  const claimed = readme.slice(start, to).split("\n").filter((row) => row.startsWith("| ")).slice(1).map((row) => row.split(" | ")[0].slice(2));
  const tested = Object.keys(runtimes);
  const wrong = claimed.filter((name) => !tested.includes(name));
  failed += wrong.length;
  if (wrong.length > 0) console.log(`the README claims runtimes that no test runs: ${wrong.join(", ")}`);
  else passed += 1;
}
