/**
 * Code blocks of documents. One that shows TypeScript, JavaScript or a shell says what CI does with it, in the word after
 * its language:
 *
 * - `ts check`, `js check`: type-checked. `sh check`: read by bash, and each `npm run` of it must exist.
 * - `ts run`, `js run`, `sh run`: checked, then run in the clone; it must end with 0 within a minute.
 * - `show`: a fragment that only shows something.
 *
 * `json` must be JSON, unless it is `json show`.
 */
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { runTool } from "../gates/run-tool.ts";
import type { Fence, Markdown } from "./markdown.ts";

const WORDS = ["run", "check", "show"];
const EXTENSIONS: Readonly<Record<string, string>> = { ts: "ts", js: "mjs", sh: "sh" };
/** Other names of the same languages, which would pass unchecked. */
const ALIASES = ["typescript", "javascript", "mjs", "mts", "bash", "shell", "console", "zsh"];
const RUN_MS_MAX = 60_000;

interface Block extends Fence {
  readonly file: string;
}

/** Checks and runs the blocks of all documents. */
export async function codeBlockProblems(
  root: string,
  documents: ReadonlyMap<string, Markdown>,
): Promise<readonly string[]> {
  const blocks = [...documents].flatMap(([file, { fences }]) =>
    fences.map((fence) => ({ ...fence, file })),
  );
  const directory = await mkdtemp(join(tmpdir(), "baton-docs-"));
  try {
    return [
      ...blocks.flatMap(formProblems),
      ...(await scriptProblems(root, directory, blocks)),
      ...(await shellProblems(root, directory, blocks)),
    ];
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** What is wrong with a block without running anything. */
function formProblems(block: Block): readonly string[] {
  const { language, words, text } = block;
  if (ALIASES.includes(language)) {
    return [at(block, `has language ${language}; expected ts, js or sh`)];
  }
  if (Object.hasOwn(EXTENSIONS, language)) {
    const isMarked = words.length === 1 && WORDS.includes(words[0] ?? "");
    return isMarked
      ? []
      : [at(block, `must say ${WORDS.map((word) => `"${language} ${word}"`).join(" or ")}`)];
  }
  if (language !== "json" || words.includes("show")) return [];
  try {
    JSON.parse(text);
    return [];
  } catch (error) {
    return [at(block, `is no JSON: ${String(error)}`)];
  }
}

/** Type-checks all blocks of TypeScript and JavaScript in one pass, then runs those that want it. */
async function scriptProblems(
  root: string,
  directory: string,
  all: readonly Block[],
): Promise<readonly string[]> {
  const blocks = all.filter(
    ({ language, words }) => /^(ts|js)$/.test(language) && !words.includes("show"),
  );
  if (blocks.length === 0) return [];
  await writeProject(root, directory);
  for (const block of blocks) await writeFile(join(directory, fileOf(block)), padded(block));
  const types = await runTool(root, ["tsc", "--noEmit", "-p", directory]);
  const problems = types.isOk
    ? []
    : [`Code blocks do not type-check (file names end with the line):\n${types.output}`];
  for (const block of blocks.filter(({ words }) => words.includes("run"))) {
    const result = await runTool(
      root,
      ["node", "--conditions=source", join(directory, fileOf(block))],
      { timeoutMs: RUN_MS_MAX },
    );
    if (!result.isOk) problems.push(at(block, `fails:\n${result.output}`));
  }
  return problems;
}

/** A project that sees the packages of the clone as a user's project would. */
async function writeProject(root: string, directory: string): Promise<void> {
  await symlink(join(root, "node_modules"), join(directory, "node_modules"), "dir");
  await writeFile(join(directory, "package.json"), JSON.stringify({ type: "module" }));
  const compilerOptions = { checkJs: true, noUnusedLocals: false, noUnusedParameters: false };
  const config = { extends: join(root, "tsconfig.json"), compilerOptions, include: ["*"] };
  await writeFile(join(directory, "tsconfig.json"), JSON.stringify(config));
}

async function shellProblems(
  root: string,
  directory: string,
  all: readonly Block[],
): Promise<readonly string[]> {
  const manifest: unknown = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  const scripts = scriptNames(manifest);
  const problems: string[] = [];
  for (const block of all.filter(
    ({ language, words }) => language === "sh" && !words.includes("show"),
  )) {
    const path = join(directory, fileOf(block));
    await writeFile(path, padded(block));
    const read = await runTool(root, ["bash", "-n", path]);
    if (!read.isOk) problems.push(at(block, `is no shell script:\n${read.output}`));
    for (const [, name = ""] of block.text.matchAll(/\bnpm run ([\w:-]+)/g)) {
      if (!scripts.includes(name))
        problems.push(at(block, `calls npm run ${name}, which does not exist`));
    }
    if (!block.words.includes("run")) continue;
    const result = await runTool(root, ["bash", "-euo", "pipefail", path], {
      timeoutMs: RUN_MS_MAX,
    });
    if (!result.isOk) problems.push(at(block, `fails:\n${result.output}`));
  }
  return problems;
}

function scriptNames(manifest: unknown): readonly string[] {
  if (typeof manifest !== "object" || manifest === null || !("scripts" in manifest)) return [];
  return Object.keys(manifest.scripts ?? {});
}

/** `docs/sdk.md` line 12 becomes `docs-sdk.md-12.ts`. */
function fileOf({ file, line, language }: Block): string {
  return `${file.replaceAll("/", "-")}-${line}.${EXTENSIONS[language] ?? language}`;
}

/** The text on the lines that it has in its document, so that messages name them. */
function padded({ line, text }: Block): string {
  return `${"\n".repeat(line)}${text}\n`;
}

function at({ file, line }: Block, problem: string): string {
  return `${file}:${line}: the code block ${problem}`;
}
