// @ts-check
/**
 * Before and after `npm pack` and `npm publish`, in the folder of a package. Inside of this clone the packages find each
 * other's TypeScript by the export condition "source". A package has no TypeScript in it, and programs that run with a
 * condition of that name, which is a common one, would find nothing where it points.
 */
import { copyFileSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { argv } from "node:process";

const MANIFEST = "package.json";
const KEPT = "package.json.kept";

/**
 * The manifest as it is published.
 *
 * @param {string} text
 * @returns {string}
 */
export function publishedManifest(text) {
  const withoutSource = (/** @type {string} */ key, /** @type {unknown} */ value) =>
    key === "source" ? undefined : value;
  return `${JSON.stringify(JSON.parse(text, withoutSource), null, 2)}\n`;
}

function strip() {
  if (existsSync(KEPT)) renameSync(KEPT, MANIFEST);
  copyFileSync(MANIFEST, KEPT);
  writeFileSync(MANIFEST, publishedManifest(readFileSync(MANIFEST, "utf8")));
}

function restore() {
  if (existsSync(KEPT)) renameSync(KEPT, MANIFEST);
}

if (argv[2] === "--strip") strip();
if (argv[2] === "--restore") restore();
