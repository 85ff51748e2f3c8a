/**
 * `npm test`: every test file, one PostgreSQL for all of them.
 *
 * npm test -- packages/sdk scripts/launch.test.ts   files, folders or parts of their paths
 * npm test -- --name "stale_lease"                  tests whose names match
 * npm test -- --torture                             the long ones, *.torture.test.ts, too
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";
import { finished } from "node:stream/promises";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { parseArgs } from "node:util";

import { onParentExit } from "../packages/server/src/cli/parent.ts";
import { TEST_POSTGRES } from "../packages/server/test/run-postgres.ts";

const ROOT = dirname(import.meta.dirname);
const PATTERNS = [
  // Whole systems take longest: they go first, so that no core idles at the end.
  "test/**/*.test.ts",
  "scripts/**/*.test.ts",
  "packages/*/test/**/*.test.ts",
  "packages/*/src/**/*.test.ts",
];
const FILE_TIMEOUT_MS = 3 * 60_000;
const TORTURE_FILE_TIMEOUT_MS = 30 * 60_000;
const EXIT_INTERRUPTED = 130;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { name: { type: "string", multiple: true }, torture: { type: "boolean" } },
});

const interrupt = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => interrupt.abort());
}
onParentExit(() => interrupt.abort());

const files = chooseFiles(positionals, options.torture === true);
if (files.length === 0) {
  console.error(`No test file matches ${positionals.join(" ")}.`);
  process.exitCode = 1;
} else {
  process.exitCode = await runWithPostgres(files);
}

/** The files to run: all, or those whose path below the root contains one of the given parts. */
function chooseFiles(parts: readonly string[], withTorture: boolean): readonly string[] {
  const wanted = parts.map((part) => part.replace(/^\.\//, ""));
  return PATTERNS.flatMap((pattern) => globSync(pattern, { cwd: ROOT }).sort())
    .filter((file) => withTorture || !file.endsWith(".torture.test.ts"))
    .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)));
}

async function runWithPostgres(chosen: readonly string[]): Promise<number> {
  if (process.env[TEST_POSTGRES] !== undefined) return await runFiles(chosen);
  const holder = fork(join(ROOT, "scripts/test-postgres.ts"), { detached: true });
  const exit = once(holder, "exit");
  const answer: unknown[] = await Promise.race([once(holder, "message"), exit]);
  if (holder.exitCode !== null) {
    console.error("PostgreSQL for the tests did not start; the reason stands above.");
    return 1;
  }
  Object.assign(process.env, answer[0]);
  try {
    return await runFiles(chosen);
  } finally {
    holder.disconnect();
    await exit;
  }
}

/** Runs the files and reports them; returns the exit code. */
async function runFiles(chosen: readonly string[]): Promise<number> {
  if (interrupt.signal.aborted) return EXIT_INTERRUPTED;
  let testCount = 0;
  let hasFailed = false;
  const events = run({
    cwd: ROOT,
    files: chosen.map((file) => relative(process.cwd(), join(ROOT, file))),
    concurrency: Math.max(2, availableParallelism()),
    timeout: options.torture === true ? TORTURE_FILE_TIMEOUT_MS : FILE_TIMEOUT_MS,
    execArgv: ["--conditions=source"],
    signal: interrupt.signal,
    ...(options.name !== undefined && { testNamePatterns: options.name }),
  });
  events.on("test:fail", () => {
    hasFailed = true;
  });
  events.on("test:summary", ({ file, counts, success }) => {
    if (file !== undefined) return;
    testCount = counts.tests;
    hasFailed ||= !success;
  });
  const report = events.compose(spec);
  report.pipe(process.stdout, { end: false });
  await finished(report);
  if (interrupt.signal.aborted) {
    console.error("The tests were interrupted.");
    return EXIT_INTERRUPTED;
  }
  if (testCount === 0) {
    console.error("Expected at least one test; none ran.");
    return 1;
  }
  return hasFailed ? 1 : 0;
}
