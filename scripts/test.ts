/**
 * `npm test`: every test file, one PostgreSQL for all of them.
 *
 * npm test -- packages/sdk scripts/launch.test.ts   files, folders or parts of their paths
 * npm test -- --name "stale_lease"                  tests whose names match
 * npm test -- --torture                             the long ones, in test/torture, too
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";
import { finished } from "node:stream/promises";
import { run, type TestsStream } from "node:test";
import { spec } from "node:test/reporters";

import { Command } from "commander";

import { onParentExit } from "../packages/server/src/cli/parent.ts";
import { TEST_POSTGRES } from "../packages/server/test/run-postgres.ts";

const ROOT = dirname(import.meta.dirname);
const PATTERNS = [
  // Whole systems take longest: they go first, so that no core idles at the end.
  "test/**/*.test.ts",
  "scripts/**/*.test.ts",
  "packages/*/test/**/*.test.ts",
  "packages/*/src/**/*.test.ts",
  "bench/src/**/*.test.ts",
];
/** How long one test, one file and the whole run may take; hung tests must not hold a build for ever. */
const TIMEOUTS_MS = {
  usual: { test: 120_000, file: 300_000, run: 12 * 60_000 },
  torture: { test: 30 * 60_000, file: 31 * 60_000, run: 120 * 60_000 },
};
const EXIT_INTERRUPTED = 130;

interface Flags {
  readonly name?: readonly string[];
  readonly torture?: boolean;
}

const command = new Command("npm test --")
  .argument("[files...]", "files, folders or parts of their paths (default: all)")
  .option("--name <pattern>", "only tests whose names match; may stand several times", append)
  .option("--torture", "the long tests, in test/torture, too")
  .parse();
const parts = command.args;
const options = command.opts<Flags>();

const withTorture = options.torture === true || parts.some((part) => part.includes("torture"));
const timeoutsMs = TIMEOUTS_MS[withTorture ? "torture" : "usual"];

const interrupt = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    // Asked a second time: at once. PostgreSQL is stopped by its holder, which sees us go.
    if (interrupt.signal.aborted) process.exit(EXIT_INTERRUPTED);
    interrupt.abort();
  });
}
onParentExit(() => interrupt.abort());
// `npm test | head`: nobody reads on.
process.stdout.on("error", () => interrupt.abort());

const files = chooseFiles();
if (files.length === 0) {
  console.error(`No test file matches ${parts.join(" ")}.`);
  process.exitCode = 1;
} else {
  process.exitCode = await runWithPostgres(files);
}

function append(pattern: string, before: readonly string[] = []): readonly string[] {
  return [...before, pattern];
}

/** The files to run: all, or those whose path below the root contains one of the given parts. */
function chooseFiles(): readonly string[] {
  const wanted = parts.map((part) => part.replace(/^\.\//, ""));
  return PATTERNS.flatMap((pattern) => globSync(pattern, { cwd: ROOT }).sort())
    .filter((file) => withTorture || !file.startsWith("test/torture/"))
    .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)));
}

async function runWithPostgres(chosen: readonly string[]): Promise<number> {
  if (process.env[TEST_POSTGRES] !== undefined) return runFiles(chosen);
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
  const deadline = new URL(`./test-deadline.ts?ms=${timeoutsMs.file}`, import.meta.url);
  const events = run({
    cwd: ROOT,
    files: chosen.map((file) => relative(process.cwd(), join(ROOT, file))),
    concurrency: Math.max(2, availableParallelism()),
    timeout: timeoutsMs.test,
    execArgv: ["--conditions=source", "--import", deadline.href],
    signal: AbortSignal.any([interrupt.signal, AbortSignal.timeout(timeoutsMs.run)]),
    ...(options.name !== undefined && { testNamePatterns: options.name }),
  });
  const outcome = watchOutcome(events);
  const report = events.compose(spec);
  // Not pipe(): it stops reading when the output breaks, and the run would never end.
  report.on("data", (text: string) => process.stdout.write(text));
  await finished(report);
  if (interrupt.signal.aborted) {
    console.error("The tests were interrupted.");
    return EXIT_INTERRUPTED;
  }
  if (options.name === undefined && outcome.emptyFiles.length > 0) {
    console.error(`Expected tests in every file; found none in ${outcome.emptyFiles.join(", ")}.`);
    return 1;
  }
  if (outcome.testCount === 0) {
    console.error("Expected at least one test; none ran.");
    return 1;
  }
  return outcome.hasFailed ? 1 : 0;
}

/** Counts what ran. For a file without tests the runner reports one success in the file's own name. */
function watchOutcome(events: TestsStream): Outcome {
  const outcome: Outcome = { testCount: 0, emptyFiles: [], hasFailed: false };
  events.on("test:pass", (test) => {
    if (!("entryFile" in test)) outcome.emptyFiles.push(test.name);
    else if (test.skip === undefined && test.details.type !== "suite") outcome.testCount += 1;
  });
  events.on("test:fail", () => {
    outcome.testCount += 1;
    outcome.hasFailed = true;
  });
  events.on("test:summary", ({ success }) => {
    outcome.hasFailed ||= !success;
  });
  return outcome;
}

interface Outcome {
  testCount: number;
  readonly emptyFiles: string[];
  hasFailed: boolean;
}
