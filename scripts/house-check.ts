/**
 * House rules that no other tool knows, each one function over a file's path and text. Why each one stands is in
 * CONTRIBUTING.md.
 */
import { globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

const TEXT = /\.(ts|tsx|mjs|js|json|md|sql|proto|ya?ml|sh)$|^\.ci\/run$/;
const CODE = /\.(ts|tsx|mjs|js)$/;
const EXCLUDED = /^(node_modules|dist|gen|coverage|\.git|\.baton)$/;
/** Names that say nothing, so everything ends up in them. */
const EMPTY_NAMES =
  /^(utils?|helpers?|common|lib|misc|shared|types|interfaces|constants)\.(ts|tsx|mjs|js)$/;

type Rule = (file: string, text: string) => readonly string[];

const RULES: readonly Rule[] = [
  function name(file) {
    if (!CODE.test(file)) return [];
    if (EMPTY_NAMES.test(basename(file))) return ["name the file after what it does"];
    // Routes of the dashboard are named by their paths.
    const isKebab = /^[a-z0-9]+([-.][a-z0-9]+)*$/.test(basename(file)) || file.includes("/routes/");
    return isKebab ? [] : ["file names are kebab-case"];
  },

  function barrel(file, text) {
    if (!CODE.test(file)) return [];
    const isExported = /^packages\/[\w-]+\/src\/index\.ts$/.test(file);
    const isIndex = /^index\.(ts|tsx|mjs|js)$/.test(basename(file));
    return [
      ...(isIndex && !isExported ? ["index files stand only where a package's exports point"] : []),
      ...lines(text, /^export \*/).map((line) => `line ${line}: export by name, not with *`),
    ];
  },

  function onlyOneTest(file, text) {
    if (!file.endsWith(".test.ts")) return [];
    return lines(text, /\b(it|test|describe|suite)\.only\(|\bonly: true\b/).map(
      (line) => `line ${line}: a test with "only" hides the others`,
    );
  },

  function todo(_file, text) {
    return lines(text, /\b(TO[D]O|FIX[M]E)\b(?!.*#\d)/).map(
      (line) => `line ${line}: name the issue of what is to be done, as #123`,
    );
  },

  function machine(_file, text) {
    return lines(text, /["'`\s(](\/home\/\w+\/|\/Users\/\w+\/)/).map(
      (line) => `line ${line}: a path of somebody's machine`,
    );
  },

  function whitespace(_file, text) {
    const problems = lines(text, /[ \t]+$|\r/).map(
      (line) => `line ${line}: white space at its end`,
    );
    const conflicts = lines(text, /^(<{7}|>{7}) /).map((line) => `line ${line}: a merge conflict`);
    const end = text === "" || (text.endsWith("\n") && !text.endsWith("\n\n"));
    return [...problems, ...conflicts, ...(end ? [] : ["a file ends with one new line"])];
  },

  function lockedHosts(file, text) {
    if (basename(file) !== "package-lock.json") return [];
    // An address would tie everybody to the registry of whoever ran npm install last.
    return lines(text, /"resolved": "https?:/).map(
      (line) =>
        `line ${line}: the address of a registry; set omit-lockfile-registry-resolved in npm`,
    );
  },

  function changelog(file, text) {
    if (file !== "CHANGELOG.md") return [];
    const unreleased = /^## \[?Unreleased\]?$([\s\S]*?)(?=^## |(?![\s\S]))/m.exec(text)?.[1];
    return unreleased?.includes("\n- ") === true
      ? []
      : ["say under Unreleased what users will notice"];
  },
];

const root = dirname(import.meta.dirname);
const files = globSync(["**/*", ".ci/*", ".*.json"], {
  cwd: root,
  exclude: (path) => EXCLUDED.test(basename(path)),
}).filter((file) => TEXT.test(file));

const problems = files.sort().flatMap((file) => {
  const text = readFileSync(join(root, file), "utf8");
  return RULES.flatMap((rule) => rule(file, text).map((problem) => `${file}: ${problem}`));
});
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
console.log(`${files.length} files checked`);

/** Numbers of the lines that match. */
function lines(text: string, pattern: RegExp): readonly number[] {
  return text.split("\n").flatMap((line, index) => (pattern.test(line) ? [index + 1] : []));
}
