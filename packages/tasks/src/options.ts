import { ANALYSIS_MEGABYTES_MAX_DEFAULT } from "./data-analysis.ts";
import { createAddressPolicy, type NetworkOptions } from "./network/address-policy.ts";
import type { ShellOptions } from "./shell.ts";

/** What the owner of a worker lets the built-in tasks do. Everything is closed unless it is opened here. */
export interface BuiltInTasksOptions {
  /** Folder below which jobs may read files and run commands. Absent: none. */
  readonly filesDirectory?: string | undefined;
  /** Folder below which jobs may write files. Absent: none. */
  readonly outputDirectory?: string | undefined;
  readonly network?: NetworkOptions | undefined;
  readonly analysis?: AnalysisOptions | undefined;
  /** Absent: the worker has no task `shell`, and its jobs wait for one that has. */
  readonly shell?: ShellOptions | undefined;
}

export interface AnalysisOptions {
  /** Memory of one analysis in megabytes, 64 to 1,048,576; two run at a time. @default 512 */
  readonly memoryMegabytesMax?: number | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

const ANALYSIS_MEGABYTES_MIN = 64;
const ANALYSIS_MEGABYTES_MAX = 1_048_576;

/**
 * Reads the options from environment variables; docs/tasks.md lists them. An empty one counts as absent.
 *
 * @throws Error that names the variable, what it expects and what it got
 */
export function optionsFromEnvironment(environment: Environment): BuiltInTasksOptions {
  const text = (name: string) => environment[name]?.trim() || undefined;
  const list = (name: string) =>
    text(name)
      ?.split(",")
      .map((entry) => entry.trim())
      .filter((entry) => entry !== "");
  const commands = list("BATON_TASKS_SHELL_COMMANDS");
  return {
    filesDirectory: text("BATON_TASKS_FILES_DIRECTORY"),
    outputDirectory: text("BATON_TASKS_OUTPUT_DIRECTORY"),
    network: {
      allowPrivateAddresses: readBoolean(environment, "BATON_TASKS_ALLOW_PRIVATE_ADDRESSES"),
      allowedAddresses: checkedAddresses(list("BATON_TASKS_ALLOWED_ADDRESSES")),
    },
    analysis: { memoryMegabytesMax: readMegabytes(environment, "BATON_TASKS_ANALYSIS_MEMORY_MB") },
    shell: commands && {
      allowedCommands: commands.includes("*") ? "all" : commands,
      allowedEnvironment: list("BATON_TASKS_SHELL_ENVIRONMENT"),
    },
  };
}

function checkedAddresses(blocks: readonly string[] | undefined): readonly string[] | undefined {
  try {
    createAddressPolicy({ allowedAddresses: blocks });
    return blocks;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`BATON_TASKS_ALLOWED_ADDRESSES cannot be used. ${message}`, { cause });
  }
}

function readBoolean(environment: Environment, name: string): boolean {
  const text = environment[name]?.trim() ?? "";
  if (text === "" || text === "false") return false;
  if (text === "true") return true;
  throw new Error(`${name} must be true or false; it is "${text}".`);
}

function readMegabytes(environment: Environment, name: string): number {
  const text = environment[name]?.trim() || String(ANALYSIS_MEGABYTES_MAX_DEFAULT);
  const megabytes = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (megabytes >= ANALYSIS_MEGABYTES_MIN && megabytes <= ANALYSIS_MEGABYTES_MAX) return megabytes;
  throw new Error(
    `${name} must be a whole number of megabytes, ${ANALYSIS_MEGABYTES_MIN} to ` +
      `${ANALYSIS_MEGABYTES_MAX}; it is "${text}".`,
  );
}
