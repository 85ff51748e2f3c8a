/**
 * Checks the documents: links, anchors and paths lead somewhere, code blocks do what they say, docs/errors.md and the
 * generated parts equal the code.
 */
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { codeBlockProblems } from "./docs/code-blocks.ts";
import { errorPageProblems } from "./docs/error-pages.ts";
import { stalePartProblems } from "./docs/generated-parts.ts";
import { brokenLinks } from "./docs/links.ts";
import { readMarkdown } from "./docs/markdown.ts";

const ERRORS_FILE = "docs/errors.md";
/** It tells the past, and may name what is gone. */
const CHANGELOG = "CHANGELOG.md";

const root = dirname(import.meta.dirname);
const files = globSync("**/*.md", {
  cwd: root,
  exclude: (name) => /^(node_modules|dist|\.baton|\.git)$/.test(name),
}).sort();
const documents = new Map(
  files.map((file) => [file, readMarkdown(readFileSync(join(root, file), "utf8"))]),
);
const errorsPage = documents.get(ERRORS_FILE);

const problems = [
  ...[...documents]
    .filter(([file]) => file !== CHANGELOG)
    .flatMap(([file, document]) => brokenLinks(root, file, document)),
  ...(errorsPage === undefined
    ? [`${ERRORS_FILE} is missing`]
    : errorPageProblems(ERRORS_FILE, readFileSync(join(root, ERRORS_FILE), "utf8"), errorsPage)),
  ...stalePartProblems(root),
  ...(await codeBlockProblems(root, documents)),
];
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
console.log(`${documents.size} documents checked`);
