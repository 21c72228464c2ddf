// Bundles with esbuild, and runs a bundle in workerd.

export async function esbuild(folder, entry, options) {
  const { build } = await import("esbuild");
  const { outputFiles } = await build({ absWorkingDir: folder, entryPoints: [entry], bundle: true, write: false, target: "es2022", logLevel: "error", ...options });
  return outputFiles[0].text;
}

/** Runs modules, by name, in workerd and returns the report that they answer with. */
export async function inWorkerd(main, modules, compatibilityFlags) {
  const { startWorker } = await import("../node/support/worker.mjs");
  const source = Object.fromEntries(
    Object.entries(modules).map(([name, contents]) => [name, { type: name.endsWith(".wasm") ? "wasm" : "esm", contents }]),
  );
  const worker = await startWorker({ source: { main, modules: source }, ...(compatibilityFlags && { compatibilityFlags }) });
  try {
    const response = await worker.fetch("/");
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${text}\n${worker.logText}`);
    return JSON.parse(text);
  } finally {
    await worker.stop();
  }
}
