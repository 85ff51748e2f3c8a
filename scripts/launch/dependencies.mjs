// @ts-check
/**
 * What of package-lock.json is not in node_modules.
 *
 * npm keeps its own record of an install in node_modules/.package-lock.json and writes it last, so an install that was
 * killed half way has none. Comparing the record with the lock needs no stamp of our own, holds after a plain
 * `npm install` too, and takes a few milliseconds.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * @typedef {object} LockedPackage
 * @property {string} [version]
 * @property {string} [integrity]
 * @property {boolean} [link] a workspace
 * @property {boolean} [optional]
 * @property {boolean} [devOptional]
 * @property {boolean} [peer]
 * @property {string | string[]} [os]
 * @property {string | string[]} [cpu]
 * @property {string | string[]} [libc]
 */

/**
 * Lists what is missing, as paths below the root; empty when everything is there.
 *
 * @param {string} root the clone
 * @param {{ os: string, cpu: string, libc: string | undefined }} [platform] default: this machine
 * @returns {string[]}
 */
export function missingDependencies(root, platform = thisPlatform()) {
  const locked = readPackages(join(root, "package-lock.json"));
  if (locked === undefined) throw new Error(`package-lock.json cannot be read in ${root}`);
  const installed = readPackages(join(root, "node_modules/.package-lock.json"));
  if (installed === undefined) return ["node_modules"];
  return Object.entries(locked)
    .filter(([path, wanted]) => {
      if (!path.startsWith("node_modules/") && !path.includes("/node_modules/")) return false;
      const found = installed[path];
      if (found === undefined) return isNeeded(wanted, platform);
      return (
        found.version !== wanted.version ||
        found.integrity !== wanted.integrity ||
        !existsSync(join(root, path))
      );
    })
    .map(([path]) => path);
}

/**
 * Whether npm should have installed this package here. Optional packages without a platform of their own are
 * dependencies of other optional packages, which npm may leave out with them.
 *
 * @param {LockedPackage} wanted
 * @param {{ os: string, cpu: string, libc: string | undefined }} platform
 */
function isNeeded(wanted, platform) {
  const isOptional = wanted.optional === true || wanted.devOptional === true;
  if (!isOptional) return wanted.peer !== true;
  if (wanted.os === undefined && wanted.cpu === undefined) return false;
  return (
    allows(wanted.os, platform.os) &&
    allows(wanted.cpu, platform.cpu) &&
    allows(wanted.libc, platform.libc)
  );
}

/**
 * @param {string | string[] | undefined} list names, or names to leave out as `!name`
 * @param {string | undefined} value undefined when the platform has none
 */
function allows(list, value) {
  if (list === undefined) return true;
  const names = [list].flat();
  if (value === undefined || names.includes(`!${value}`)) return false;
  return names.includes(value) || names.every((name) => name.startsWith("!"));
}

/** The machine in the words of package.json's `os`, `cpu` and `libc`. */
function thisPlatform() {
  return { os: process.platform, cpu: process.arch, libc: libc() };
}

/** The way npm finds it, because npm decides what it installs: by the text of ldd, else by the running Node. */
function libc() {
  if (process.platform !== "linux") return undefined;
  const ldd = existsSync("/usr/bin/ldd") ? readFileSync("/usr/bin/ldd", "utf8") : "";
  if (ldd.includes("musl")) return "musl";
  if (ldd.includes("GNU C Library")) return "glibc";
  const report = /** @type {{ header?: { glibcVersionRuntime?: string } }} */ (
    process.report.getReport()
  );
  return report.header?.glibcVersionRuntime === undefined ? "musl" : "glibc";
}

/**
 * @param {string} path
 * @returns {Record<string, LockedPackage> | undefined} undefined when the file is absent or broken
 */
function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).packages;
  } catch {
    return undefined;
  }
}
