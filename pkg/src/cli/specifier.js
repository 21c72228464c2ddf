// What names this package to npm: as a project that depends on it does, which may have it from a tarball, a folder or a registry.

import { existsSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of this package: the command is in dist/cli. */
const OWN_FOLDER = fileURLToPath(new URL("../..", import.meta.url)).replace(/[/\\]$/, "");

/** Reads a file of the form of package.json; an empty object if it cannot be read. */
export function readManifest(file) {
  try {
    const manifest = JSON.parse(readFileSync(file, "utf8").replace(/^\ufeff/, ""));
    return typeof manifest === "object" && manifest !== null ? manifest : {};
  } catch {
    return {};
  }
}

/** Returns the packages that a project depends on, with the version or place of each. */
export const dependenciesOf = ({ optionalDependencies, devDependencies, dependencies }) => ({ ...optionalDependencies, ...devDependencies, ...dependencies });

/** Returns the specifier for a project in `folder`: the place from which this package was installed, if that is a file; else a version. */
export function ownSpecifier(folder) {
  const place = placeOf(OWN_FOLDER);
  if (place === undefined) return `^${EDGEWARD_VERSION}`;
  return place.file === undefined ? place.specifier : `file:${relative(realFolder(resolve(folder)), place.file).split(sep).join("/")}`;
}

/** Returns the file or the specifier that the package in a folder comes from; undefined if neither is known. */
function placeOf(own) {
  // A folder that was linked, or a clone.
  if (!own.split(sep).includes("node_modules")) return { file: own };
  for (let folder = dirname(own); folder !== dirname(folder); folder = dirname(folder)) {
    const specifier = dependenciesOf(readManifest(join(folder, "package.json"))).edgeward;
    if (typeof specifier !== "string") continue;
    const [, path] = /^file:(.+)$/.exec(specifier) ?? [];
    const file = path === undefined ? undefined : resolve(folder, path);
    if (file !== undefined) return existsSync(file) ? { file } : undefined;
    // Others, such as those of a workspace, mean something in their project only.
    return /^(?:[~^]?\d|https:|git)/.test(specifier) ? { specifier } : undefined;
  }
  return undefined;
}

/** Returns a folder without links; it need not exist. */
const realFolder = (folder) => (existsSync(folder) ? realpathSync(folder) : join(realFolder(dirname(folder)), basename(folder)));

export const isInstalled = (folder, name) => existsSync(join(folder, "node_modules", name));
