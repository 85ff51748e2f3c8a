/** Logs of the processes: lines for people on a terminal, JSON for programs elsewhere. */
import { pino, type Logger } from "pino";

import { paint, printable, printableLines, type Style } from "./terminal.ts";
import { clockText } from "./time-text.ts";

/** Fields that every line has and nobody reads. */
const FIELDS_HIDDEN: ReadonlySet<string> = new Set([
  "level",
  "time",
  "pid",
  "hostname",
  "msg",
  "err",
]);
const STACK_LINES_MAX = 8;
const LEVEL_CHARACTERS = 5;

const STYLE_OF_LEVEL: Readonly<Record<string, Style>> = {
  trace: "dim",
  debug: "dim",
  info: "green",
  warn: "yellow",
  error: "red",
  fatal: "red",
};

/** A logger that writes to standard output, in the form that its reader wants. */
export function createLogger(level: string): Logger {
  const options = { level, serializers: { err: errorFields } };
  if (!process.stdout.isTTY) return pino(options);
  return pino(options, { write: (line) => void process.stdout.write(`${logText(line)}\n`) });
}

/** What matters of an error. Those of drivers carry whole connections, with everything that is in them. */
function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { name, message, stack } = error;
  const code = "code" in error ? error.code : undefined;
  const cause = error.cause === undefined ? undefined : errorFields(error.cause);
  return { type: name, message, code, stack, cause };
}

/** A line of pino's JSON for people: time, level, message, then the fields. */
export function logText(json: string): string {
  const entry = readEntry(json);
  if (entry === undefined) return printable(json.trimEnd());
  const { level: levelNumber, time, msg, err } = entry;
  const level = typeof levelNumber === "number" ? pino.levels.labels[levelNumber] : undefined;
  const at = typeof time === "number" ? clockText(new Date(time)) : "";
  const name = paint(STYLE_OF_LEVEL[level ?? ""] ?? "dim", (level ?? "").padEnd(LEVEL_CHARACTERS));
  const fields = Object.entries(entry)
    .filter(([field, value]) => !FIELDS_HIDDEN.has(field) && value !== undefined)
    .map(([field, value]) => `${field}=${valueText(value)}`);
  const message = typeof msg === "string" ? printableLines(msg) : "";
  const parts = [paint("dim", at), name, message];
  if (fields.length > 0) parts.push(paint("dim", printable(fields.join(" "))));
  return parts.join("  ") + errorText(err, level);
}

type Entry = Partial<Record<string, unknown>>;

function readEntry(json: string): Entry | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    // Something else wrote to the same stream; it is shown as it is.
    return undefined;
  }
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function valueText(value: unknown): string {
  return typeof value === "string" && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}

/** The message always; the stack where it is a fault, not a mere trouble of the surroundings. */
function errorText(error: unknown, level: string | undefined): string {
  if (typeof error !== "object" || error === null) return "";
  const { message, stack, code }: Entry = { ...error };
  const known = typeof code === "string" ? ` (${code})` : "";
  const head = `\n    ${printable(`${textOf(message)}${known}`)}`;
  if (level !== "error" && level !== "fatal") return head;
  const places = textOf(stack)
    .split("\n")
    .filter((line) => line.trimStart().startsWith("at "))
    .slice(0, STACK_LINES_MAX);
  return head + places.map((line) => `\n    ${paint("dim", printable(line.trim()))}`).join("");
}
