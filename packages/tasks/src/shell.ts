import { task } from "@baton/sdk";
import { z } from "zod";

import { fatal } from "./faults.ts";
import {
  existingDirectory,
  PATH_CHARACTERS_MAX,
  type AllowedFolder,
} from "./files/allowed-folder.ts";
import { runProcess } from "./process/run-process.ts";

const ARGUMENTS_MAX = 1_000;
const ARGUMENT_CHARACTERS_MAX = 128 * 1024;
const ENVIRONMENT_MAX = 64;
const TIMEOUT_MS_DEFAULT = 60_000;
const TIMEOUT_MS_MAX = 24 * 60 * 60_000;
/** The job's own timeout ends the command; the attempt's, which would say less, comes after it. */
const OVERHEAD_MS = 60_000;
const OUTPUT_BYTES_MAX_DEFAULT = 64 * 1024;
/** Two streams of it fit into a result of the default size, 1 MiB. */
const OUTPUT_BYTES_MAX = 256 * 1024;
const STDERR_SHOWN_CHARACTERS = 500;
/** After SIGTERM; shorter than the server's default grace, so that the outcome still arrives in time. */
const KILL_AFTER_MS = 5_000;
/** What every command gets of the worker's environment; enough to find programs and to write text correctly. */
const ENVIRONMENT_ALWAYS = ["PATH", "LANG", "LC_ALL", "TZ", "SystemRoot"] as const;

const withoutNul = z.string().refine((text) => !text.includes("\0"), "NUL bytes are not possible");
const input = z.strictObject({
  command: withoutNul
    .min(1)
    .max(PATH_CHARACTERS_MAX)
    .describe(
      "A command that the worker allows, written as it is in that list. Not a line for a shell.",
    ),
  args: z
    .array(withoutNul.max(ARGUMENT_CHARACTERS_MAX))
    .max(ARGUMENTS_MAX)
    .default([])
    .describe(
      "Arguments, passed on as they are: no quotes, variables or patterns are interpreted.",
    ),
  stdin: z.string().default("").describe("Written to the command's standard input."),
  env: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "expected a variable's name"), withoutNul)
    .refine((env) => Object.keys(env).length <= ENVIRONMENT_MAX, `at most ${ENVIRONMENT_MAX}`)
    .default({})
    .describe("Environment variables, of those that the worker allows; at most 64."),
  cwd: z
    .string()
    .min(1)
    .max(PATH_CHARACTERS_MAX)
    .optional()
    .describe(
      "Folder to run in, below the worker's files folder. Absent: an empty one, removed afterwards.",
    ),
  expectedExitCodes: z
    .array(z.int().min(0).max(255))
    .min(1)
    .max(256)
    .default([0])
    .describe("Exit codes that are a success. Others fail the attempt, and the job tries again."),
  timeoutMs: z
    .int()
    .min(1)
    .max(TIMEOUT_MS_MAX)
    .default(TIMEOUT_MS_DEFAULT)
    .describe("Then the command and all it has started are ended; at most 24 hours."),
  outputBytesMax: z
    .int()
    .min(0)
    .max(OUTPUT_BYTES_MAX)
    .default(OUTPUT_BYTES_MAX_DEFAULT)
    .describe(
      "Kept of each of stdout and stderr, from the start; at most 256 KiB. The rest is dropped, and said to be.",
    ),
});

/** What jobs may run. */
export interface ShellOptions {
  /** Names (found by PATH) or absolute paths, matched as a whole; "all" lets jobs run anything. */
  readonly allowedCommands: readonly string[] | "all";
  /** Variables of the worker that commands get, and that jobs may set. @default [] */
  readonly allowedEnvironment?: readonly string[] | undefined;
}

export interface ShellTaskOptions {
  readonly shell: ShellOptions;
  readonly files: AllowedFolder;
  /** The worker's own. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Runs a command of an allowed list. It has the rights of the worker: allow what every submitter may do. */
export function shellTask(options: ShellTaskOptions) {
  return task({
    name: "shell",
    description: "Runs a command that the worker allows.",
    attemptTimeoutMs: TIMEOUT_MS_MAX + OVERHEAD_MS,
    input,
    async run(request, ctx) {
      refuseForbidden(options.shell, request);
      const outcome = await runProcess({
        command: request.command,
        args: request.args,
        stdin: request.stdin,
        env: commandEnvironment(options, request.env),
        cwd:
          request.cwd === undefined
            ? undefined
            : await existingDirectory(options.files, request.cwd),
        outputBytesMax: request.outputBytesMax,
        timeoutMs: request.timeoutMs,
        killAfterMs: KILL_AFTER_MS,
        signal: ctx.signal,
        onOutput: () => ctx.heartbeat(),
      });
      const { exitCode, stderr, endedBy } = outcome;
      if (exitCode !== null && request.expectedExitCodes.includes(exitCode))
        return { ...outcome, exitCode };
      const shown = stderr.trim().slice(-STDERR_SHOWN_CHARACTERS);
      const end = exitCode === null ? `was ended by ${endedBy}` : `exited with ${exitCode}`;
      throw new Error(`"${request.command}" ${end}${shown === "" ? "." : `: ${shown}`}`);
    },
  });
}

function refuseForbidden(shell: ShellOptions, request: z.output<typeof input>): void {
  const { allowedCommands, allowedEnvironment = [] } = shell;
  if (allowedCommands !== "all" && !allowedCommands.includes(request.command)) {
    throw fatal(
      "command_refused",
      `This worker does not allow the command ${JSON.stringify(request.command)}.`,
    );
  }
  const refused = Object.keys(request.env).find((name) => !allowedEnvironment.includes(name));
  if (refused === undefined) return;
  throw fatal("command_refused", `This worker does not allow jobs to set the variable ${refused}.`);
}

function commandEnvironment(
  { shell, environment }: ShellTaskOptions,
  wanted: Readonly<Record<string, string>>,
): Record<string, string> {
  const names = [...ENVIRONMENT_ALWAYS, ...(shell.allowedEnvironment ?? [])];
  const inherited = names.flatMap((name) => {
    const value = environment[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(inherited), ...wanted };
}
