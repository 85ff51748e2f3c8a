/**
 * `npm run verify`: everything that must hold before a change is taken. All gates run, whatever fails; then the tests.
 * One line for each gate, what failed in full, and the totals of the tests last. Arguments go to the tests.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";

import { onParentExit } from "../packages/server/src/cli/parent.ts";
import { GATES, runGate, type Gate } from "./gates/gates.ts";

const root = dirname(import.meta.dirname);

const failed = [...(await runGates()), ...(await runTests(process.argv.slice(2)))];
if (failed.length > 0) {
  console.error(`\nverify failed: ${failed.join(", ")}`);
  process.exitCode = 1;
}

/** Runs the gates, as many at a time as there are cores; returns the names of those that failed. */
async function runGates(): Promise<readonly string[]> {
  const waiting: Gate[] = [...GATES];
  const failures: { readonly name: string; readonly output: string }[] = [];
  const work = async (): Promise<void> => {
    for (let gate = waiting.shift(); gate !== undefined; gate = waiting.shift()) {
      const startedAtMs = performance.now();
      const { isOk, output } = await runGate(root, gate);
      const seconds = ((performance.now() - startedAtMs) / 1_000).toFixed(1);
      console.log(`${isOk ? "✔" : "✖"} ${gate.name} (${seconds} s)`);
      if (!isOk) failures.push({ name: gate.name, output });
    }
  };
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, work));
  for (const { name, output } of failures) console.log(`\n✖ ${name}\n${output.trim()}`);
  return failures.map(({ name }) => name);
}

/** Runs the tests, which print for themselves and end by themselves when they are interrupted. */
async function runTests(args: readonly string[]): Promise<readonly string[]> {
  console.log("");
  const tests = fork(join(root, "scripts/test.ts"), args);
  // Ctrl-C reaches them without us; we wait until they have stopped PostgreSQL.
  process.on("SIGINT", () => undefined);
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, () => tests.kill(signal));
  onParentExit(() => tests.kill("SIGTERM"));
  await once(tests, "exit");
  return tests.exitCode === 0 ? [] : ["tests"];
}
