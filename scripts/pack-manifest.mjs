// @ts-check
/**
 * Before and after `npm pack` and `npm publish`, in the folder of a package. Inside of this clone the packages find each
 * other's TypeScript by the export condition "source". A package has no TypeScript in it, and programs that run with a
 * condition of that name, which is a common one, would find nothing where it points.
 */
import { copyFileSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { argv } from "node:process";

const MANIFEST = "package.json";
/** The manifest as it was before, while the other is published. A pack that failed midway leaves it behind. */
const KEPT = "package.json.kept";

/**
 * The manifest as it is published.
 *
 * @param {string} text
 * @returns {string}
 */
export function publishedManifest(text) {
  const manifest = JSON.parse(text);
  return `${JSON.stringify({ ...manifest, exports: withoutSource(manifest.exports) }, null, 2)}\n`;
}

/**
 * @param {unknown} target what stands in `exports`, or below it
 * @returns {unknown}
 */
function withoutSource(target) {
  if (typeof target !== "object" || target === null) return target;
  if (Array.isArray(target)) return target.map(withoutSource);
  const conditions = Object.entries(target).filter(([condition]) => condition !== "source");
  return Object.fromEntries(conditions.map(([name, value]) => [name, withoutSource(value)]));
}

function strip() {
  restore();
  copyFileSync(MANIFEST, KEPT);
  writeFileSync(MANIFEST, publishedManifest(readFileSync(MANIFEST, "utf8")));
}

/** Edits that somebody made in between are worth more than the copy: they are never written over. */
function restore() {
  if (!existsSync(KEPT)) return;
  const [text, kept] = [readFileSync(MANIFEST, "utf8"), readFileSync(KEPT, "utf8")];
  if (text !== kept && text !== publishedManifest(kept)) {
    throw new Error(
      `${MANIFEST} was edited after a pack had put ${KEPT} aside. Expected the edits in one file: ` +
        `bring them and the "source" lines of ${KEPT} together in ${MANIFEST}, then delete ${KEPT}.`,
    );
  }
  renameSync(KEPT, MANIFEST);
}

if (argv[2] === "--strip") strip();
if (argv[2] === "--restore") restore();
