/** Runs the command and ends the process as it says: one place for errors, exit codes and closed pipes. */
import { CommanderError } from "commander";

import { EXIT } from "./exit-codes.ts";
import { describeFailure, failureJson, failureText } from "./failure.ts";
import { endWithReader } from "./output.ts";
import { createProgram } from "./program.ts";

/** @param argv arguments after the program's name */
export async function run(argv: readonly string[]): Promise<void> {
  endWithReader();
  try {
    const program = await createProgram(argv);
    await program.parseAsync(argv, { from: "user" });
  } catch (error) {
    process.exitCode = report(error, argv.includes("--json"));
  }
}

function report(error: unknown, isJson: boolean): number {
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
  // Without a command the help was printed already.
  if (error instanceof CommanderError && error.code === "commander.help") return EXIT.usage;
  const failure = describeFailure(error);
  process.stderr.write(`${isJson ? failureJson(failure) : failureText(failure)}\n`);
  return failure.exitCode;
}
