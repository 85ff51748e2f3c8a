// @ts-check
/** Installs what is missing, with a line on the terminal that shows that something happens. */
import { spawn } from "node:child_process";
import { statfsSync } from "node:fs";
import { basename } from "node:path";

import { missingDependencies } from "./dependencies.mjs";
import { errorCode, takeInstallLock } from "./install-lock.mjs";
import { openProgress } from "./progress.mjs";

/** Measured: 643 MB of packages on Linux x64. */
const INSTALL_BYTES = 700 * 1024 * 1024;
const OUTPUT_CHARACTERS_MAX = 16_000;

/** An error whose message alone is what the user should see. */
export class LaunchError extends Error {}

/**
 * Returns when everything in package-lock.json is in node_modules.
 *
 * @param {string} root the clone
 * @throws {LaunchError} when it cannot be installed
 */
export async function ensureInstalled(root) {
  if (missingDependencies(root).length === 0) return;
  const progress = openProgress();
  const lock = await takeLock(root, progress);
  const interruption = new AbortController();
  const onSignal = (/** @type {NodeJS.Signals} */ signal) => interruption.abort(signal);
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    if (missingDependencies(root).length === 0) return;
    requireSpace(root);
    await runNpm(root, lock, progress, interruption.signal);
    const missing = missingDependencies(root);
    if (missing.length > 0 && !interruption.signal.aborted) {
      throw new LaunchError(
        `npm reported success but left out ${missing.slice(0, 5).join(", ")}. A package for this platform could ` +
          `not be fetched, or npm is configured to omit optional packages. Check the network and start again.`,
      );
    }
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
    lock.release();
    progress.end();
    // With the handlers gone this ends the process the way the signal would have.
    if (interruption.signal.aborted) process.kill(process.pid, interruption.signal.reason);
  }
}

const SIGNALS = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);

/** @param {string} root @param {ReturnType<typeof openProgress>} progress */
async function takeLock(root, progress) {
  try {
    return await takeInstallLock(root, ({ launcher }, path) =>
      progress.show(
        `Waiting for another start to finish its install (process ${launcher.pid}, ${path})`,
      ),
    );
  } catch (error) {
    if (!["EACCES", "EPERM", "EROFS"].includes(String(errorCode(error)))) throw error;
    throw new LaunchError(
      `Packages are missing and ${root} is not writable for this user. Run "npm ci" there as its owner.`,
    );
  }
}

/** @param {string} root */
function requireSpace(root) {
  const { bavail, bsize } = statfsSync(root);
  if (bavail * bsize >= INSTALL_BYTES) return;
  throw new LaunchError(
    `Expected ${megabytes(INSTALL_BYTES)} MB of free space in ${root} for the packages; found ` +
      `${megabytes(bavail * bsize)} MB. Free some space and start again.`,
  );
}

/** @param {number} bytes */
const megabytes = (bytes) => Math.round(bytes / 1024 / 1024);

/**
 * Runs npm ci and shows how long it takes.
 *
 * @param {string} root
 * @param {Awaited<ReturnType<typeof takeInstallLock>>} lock
 * @param {ReturnType<typeof openProgress>} progress
 * @param {AbortSignal} interruption
 */
async function runNpm(root, lock, progress, interruption) {
  const startedAtMs = performance.now();
  const seconds = () => Math.round((performance.now() - startedAtMs) / 1_000);
  const child = spawnNpm(root);
  if (child.pid !== undefined) lock.setNpm(child.pid);
  // npm would take its time to tidy up, and the next start could meet it; half an install is made anew anyway.
  interruption.addEventListener("abort", () => child.kill("SIGKILL"));
  const timer = setInterval(() => {
    lock.touch();
    progress.show("Installing packages (npm ci)", seconds());
  }, 1_000);
  progress.show("Installing packages (npm ci)", 0);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output = (output + text).slice(-OUTPUT_CHARACTERS_MAX);
    });
  }
  try {
    const end = await new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code, signal) => resolve(code ?? signal));
    });
    if (interruption.aborted) return;
    if (end !== 0) throw new LaunchError(explain(root, `${output}\nnpm ended with ${end}`));
    progress.say(`Installed packages in ${seconds()} s.`);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    throw new LaunchError("npm was not found. Install Node 20 or newer with npm, and start again.");
  } finally {
    clearInterval(timer);
  }
}

/** @param {string} root */
function spawnNpm(root) {
  // "dev" and "optional" are named because NODE_ENV=production or a user's npmrc would leave them out.
  const args = ["ci", "--loglevel=error", "--no-progress", "--no-audit", "--no-fund"];
  args.push("--include=dev", "--include=optional");
  const npm = process.env["npm_execpath"] ?? "";
  const isNpm = /^npm-cli\.c?js$/.test(basename(npm));
  return spawn(isNpm ? process.execPath : "npm", isNpm ? [npm, ...args] : args, {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    shell: !isNpm && process.platform === "win32",
  });
}

/** @type {readonly { pattern: RegExp, advice: string }[]} */
const CAUSES = [
  { pattern: /ENOSPC|EDQUOT/, advice: "There is no space left. Free some and start again." },
  {
    pattern:
      /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT/,
    advice: "The package registry cannot be reached. Check the network and npm's registry setting.",
  },
  {
    pattern: /EACCES|EPERM|EROFS/,
    advice:
      "npm may not write to the clone or to its cache. Check who owns them (npm config get cache).",
  },
  { pattern: /EUSAGE/, advice: "package.json and package-lock.json differ. Run npm install." },
  {
    pattern: /EINTEGRITY/,
    advice: "A package is not what package-lock.json says. Run npm cache verify.",
  },
];

/** @param {string} root @param {string} output */
function explain(root, output) {
  const cause = CAUSES.find(({ pattern }) => pattern.test(output));
  return `The packages could not be installed in ${root}. ${cause?.advice ?? ""}\n${output.trim()}`;
}
