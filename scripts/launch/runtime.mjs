// @ts-check
/** Finds the Node that runs TypeScript: the one that came as an npm package, else the one that runs this. */
import { existsSync } from "node:fs";
import { join } from "node:path";

import { LaunchError } from "./install.mjs";

/** Type stripping is stable from here on. */
const VERSION_MIN = { major: 24, minor: 12 };

/**
 * @param {string} root the clone
 * @returns {string} the path of a Node ≥ 24.12
 * @throws {LaunchError} when there is none
 */
export function findNode(root) {
  const platform = process.platform === "win32" ? "win" : process.platform;
  const name = `node-${platform}-${process.arch}`;
  const packaged = join(
    root,
    "node_modules",
    name,
    "bin",
    platform === "win" ? "node.exe" : "node",
  );
  if (existsSync(packaged)) return packaged;
  if (isNewEnough(process.versions.node)) return process.execPath;
  throw new LaunchError(
    `Baton runs on Node ${VERSION_MIN.major}.${VERSION_MIN.minor} or newer. This is ${process.versions.node}, and ` +
      `the npm package ${name}, which would bring a newer one, is not available for this platform. Install Node 24.`,
  );
}

/** @param {string} version */
export function isNewEnough(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > VERSION_MIN.major || (major === VERSION_MIN.major && minor >= VERSION_MIN.minor);
}
