/** What went wrong, for the person who typed the command. */
import { CommanderError } from "commander";

import { EXIT, exitCodeOf, type ExitCode } from "./exit-codes.ts";
import { commandName, paint, printableLines } from "./terminal.ts";

/** A failure that the command itself finds: wrong usage, a file that cannot be read … */
export class CliError extends Error {
  readonly code: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: string,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "CliError";
    this.code = code;
    this.details = details;
  }
}

/** Wrong options or arguments. The message says what was expected, what came and what to do. */
export function usageError(message: string): CliError {
  return new CliError("invalid_usage", message);
}

/** A failure as it is reported. */
export interface Failure {
  readonly exitCode: ExitCode;
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
  /** What to do next. */
  readonly hint: string | undefined;
  /** For faults of this program only. */
  readonly stack: string | undefined;
}

/** Reads any thrown value: errors with a code are expected ones, everything else is a fault of this program. */
export function describeFailure(error: unknown): Failure {
  if (error instanceof CommanderError) {
    const message = error.message.replace(/^error: /, "");
    return { ...failure("invalid_usage", message), exitCode: EXIT.usage };
  }
  const coded = codedError(error);
  if (coded !== undefined) {
    const { code, message, details, exitCode } = coded;
    return { ...failure(code, withoutTransport(message), details), exitCode };
  }
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? error.stack : undefined;
  return { ...failure("internal", message), stack };
}

/** The lines for standard error. */
export function failureText(told: Failure): string {
  const lines = [
    `${paint("red", "error:", process.stderr)} ${printableLines(told.message)} ` +
      paint("dim", `(${told.code})`, process.stderr),
    ...itemLines(told.details),
  ];
  if (told.hint !== undefined) lines.push(paint("dim", told.hint, process.stderr));
  if (told.stack !== undefined) lines.push(paint("dim", told.stack, process.stderr));
  return lines.join("\n");
}

/** The same for programs. */
export function failureJson({ code, message, details }: Failure): string {
  return JSON.stringify({ error: { code, message, details } });
}

function failure(
  code: string,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
): Failure {
  return {
    exitCode: exitCodeOf(code),
    code,
    message,
    details,
    hint: hintFor(code),
    stack: undefined,
  };
}

interface CodedError {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly exitCode: ExitCode;
}

/** Errors of the SDK, the server and this command; those of Node have codes of capitals. */
function codedError(error: unknown): CodedError | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error.name === "TasksNotLoaded") {
    return { code: "tasks_not_loaded", message: error.message, details: {}, exitCode: EXIT.usage };
  }
  if (!("code" in error) || typeof error.code !== "string" || !/^[a-z_]+$/.test(error.code)) {
    return undefined;
  }
  const details =
    "details" in error && typeof error.details === "object" && error.details !== null
      ? { ...error.details }
      : {};
  return {
    code: error.code,
    message: error.message,
    details,
    exitCode: endOf(error.code, details),
  };
}

function endOf(code: string, details: Readonly<Record<string, unknown>>): ExitCode {
  if (code !== "job_failed") return exitCodeOf(code);
  return details["state"] === "cancelled" ? EXIT.cancelled : EXIT.dead;
}

/** gRPC wraps what the operating system says into its own view of the connection. */
export function withoutTransport(message: string): string {
  return message.replace(
    /No connection established\. Last error: (?:Error: )?(.*?)\.? *Resolution note:.*$/s,
    "$1",
  );
}

function hintFor(code: string): string | undefined {
  const baton = commandName();
  switch (code) {
    case "connection_failed":
      return (
        `Is a server running? "${baton} dev" starts one. Its gRPC address is set by --address or BATON_ADDRESS; ` +
        "the default is localhost:9000."
      );
    case "job_not_found":
      return `"${baton} list" shows jobs.`;
    case "task_not_found":
      return `"${baton} tasks" shows the tasks that are known; a worker that connects makes its own known.`;
    case "queue_not_found":
      return `"${baton} queues" shows the queues.`;
    case "job_not_dead":
      return `"${baton} dlq list" shows dead jobs.`;
    case "invalid_usage":
      return `"${baton} help <command>" shows what a command takes.`;
    default:
      return undefined;
  }
}

/** What a refused bulk says of its items; `itemCount` where it names only the first of them. */
function itemLines({ items, itemCount }: Failure["details"]): readonly string[] {
  if (!Array.isArray(items)) return [];
  const known: readonly unknown[] = items;
  const lines = known.slice(0, ITEMS_SHOWN_MAX).map((item) => `  ${itemText(item)}`);
  const count = typeof itemCount === "number" ? itemCount : known.length;
  if (count > lines.length) lines.push(`  … and ${count - lines.length} more`);
  return lines;
}

const ITEMS_SHOWN_MAX = 20;

function valueText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function itemText(item: unknown): string {
  if (typeof item !== "object" || item === null) return valueText(item);
  const { line, index, code, message }: Partial<Record<string, unknown>> = { ...item };
  const place = line === undefined ? `item ${valueText(index)}` : `line ${valueText(line)}`;
  return printableLines(`${place}: ${valueText(message)} (${valueText(code)})`);
}
