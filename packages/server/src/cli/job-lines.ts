/**
 * Jobs as JSON lines: `{"task", "input", …options}`, one object a line, the options as in `POST /api/v1/jobs`. Lines are
 * cut at line feeds only, because other separators are legal inside of JSON strings.
 */
import type { EnqueueOptions, JobRequest } from "@baton/sdk";
import { z } from "zod";

import { CliError } from "./failure.ts";
import { decodeUtf8, INPUT_BYTES_MAX } from "./input.ts";
import { JITTERS, ON_CONFLICT, STRATEGIES } from "./job-options.ts";
import { parseJsonText } from "./json-text.ts";
import { instantHint, readInstant, shown } from "./option-values.ts";
import { WrongLines } from "./wrong-lines.ts";

/** One line that is not empty. */
export interface JobLine {
  /** From 1. */
  readonly line: number;
  readonly request: JobRequest;
}

/** What lines leave out. */
export interface LineDefaults {
  readonly task: string | undefined;
  readonly options: EnqueueOptions;
}

const milliseconds = z.int().min(0).optional();
// UTF-8 has no lone surrogates; in JSON text they hide behind escapes.
const wellFormed = z.string().refine((value) => value.isWellFormed(), "has a lone surrogate");
const JobObject = z.strictObject({
  task: wellFormed.min(1).optional(),
  input: z.unknown().optional(),
  inputContentType: wellFormed.optional(),
  queue: wellFormed.optional(),
  priority: z.int32().optional(),
  delayMs: milliseconds,
  runAt: z
    .string()
    .transform((text, context) => {
      const instant = readInstant(text);
      if (instant !== undefined) return instant;
      context.addIssue(
        `expected a date and time with an offset such as 2026-11-22T14:00:00Z, received ${shown(text)}${instantHint(text)}`,
      );
      return z.NEVER;
    })
    .optional(),
  maxAttempts: z.int32().min(1).optional(),
  retry: z
    .strictObject({
      strategy: z.enum(STRATEGIES).optional(),
      baseMs: milliseconds,
      maxMs: milliseconds,
      jitter: z.enum(JITTERS).optional(),
    })
    .optional(),
  attemptTimeoutMs: milliseconds,
  queueTimeoutMs: milliseconds,
  deadlineMs: milliseconds,
  heartbeatTimeoutMs: milliseconds,
  cancelGraceMs: milliseconds,
  tags: z.array(wellFormed).optional(),
  idempotencyKey: wellFormed.optional(),
  uniqueKey: wellFormed.optional(),
  onConflict: z.enum(ON_CONFLICT).optional(),
});

/**
 * Reads jobs from chunks of a file. At a wrong line it looks at the others of the same chunk and names all that are
 * wrong; it does not wait for more.
 *
 * @throws CliError malformed_json, invalid_argument, payload_too_large; `details.line` says which line, or
 *   `details.items` which ones
 */
export async function* readJobLines(
  chunks: AsyncIterable<Buffer>,
  defaults: LineDefaults,
): AsyncGenerator<JobLine, void, undefined> {
  for await (const lines of splitLines(chunks)) {
    const wrong = new WrongLines();
    for (const line of lines) {
      const read = readLine(line, defaults);
      if (read.kind === "wrong") wrong.add(line.number, read.error);
      else if (read.kind === "job" && wrong.count === 0) {
        yield { line: line.number, request: read.request };
      }
    }
    wrong.throwIfAny();
  }
}

/**
 * Reads a whole file only to check it.
 *
 * @returns how many jobs it has
 * @throws CliError as {@link readJobLines}, with the wrong lines of the whole file
 */
export async function checkJobLines(
  chunks: AsyncIterable<Buffer>,
  defaults: LineDefaults,
): Promise<number> {
  const wrong = new WrongLines();
  let jobCount = 0;
  try {
    for await (const lines of splitLines(chunks)) {
      for (const line of lines) {
        const read = readLine(line, defaults);
        if (read.kind === "wrong") wrong.add(line.number, read.error);
        else if (read.kind === "job") jobCount += 1;
      }
    }
  } catch (error) {
    // A line without end: there is nothing to read behind it.
    const line = error instanceof CliError ? error.details["line"] : undefined;
    if (!(error instanceof CliError) || typeof line !== "number") throw error;
    wrong.add(line, error);
  }
  wrong.throwIfAny();
  return jobCount;
}

interface Line {
  /** From 1. */
  readonly number: number;
  readonly bytes: Buffer;
}

type ReadLine =
  | { readonly kind: "job"; readonly request: JobRequest }
  | { readonly kind: "empty" }
  | { readonly kind: "wrong"; readonly error: CliError };

function readLine({ number, bytes }: Line, defaults: LineDefaults): ReadLine {
  try {
    const text = withLine(number, () => decodeUtf8(bytes, `line ${number}`));
    if (text.trim() === "") return { kind: "empty" };
    return { kind: "job", request: parseLine(number, text, defaults) };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return { kind: "wrong", error };
  }
}

function parseLine(line: number, text: string, defaults: LineDefaults): JobRequest {
  const value = withLine(line, () => parseJsonText(text, `line ${line}`));
  const parsed = JobObject.safeParse(value);
  if (!parsed.success) throw wrongLine(line, problemOf(parsed.error.issues, value));
  const { task = defaults.task, input, ...given } = parsed.data;
  if (task === undefined) throw wrongLine(line, "task: expected the name of a task, received none");
  const { delayMs, runAt, ...untimed } = defaults.options;
  // A line's own time replaces the other kind of time, too.
  const isTimed = given.runAt !== undefined || given.delayMs !== undefined;
  const options = { ...untimed, ...(!isTimed && { delayMs, runAt }), ...given };
  return { task, input: inputOf(line, input, options.inputContentType), options };
}

/** The first problem: where it is, what was expected and what came. */
function problemOf([issue]: readonly z.core.$ZodIssue[], value: unknown): string {
  if (issue === undefined) return "wrong";
  const { path, message } = issue;
  if (path.length === 0) return message;
  const isTold = message.includes("received");
  const received = isTold ? "" : `, received ${shownValue(valueAt(value, path))}`;
  return `${path.join(".")}: ${message}${received}`;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === "object" && inner !== null ? Reflect.get(inner, key) : undefined,
    value,
  );
}

function shownValue(value: unknown): string {
  return typeof value === "string" ? shown(value) : JSON.stringify(value);
}

/** Bytes travel as base64, as in the REST API. */
function inputOf(line: number, input: unknown, contentType: string | undefined): unknown {
  if (contentType === undefined || contentType === "application/json") return input;
  const isBase64 = z.base64().safeParse(input);
  if (isBase64.success) return Buffer.from(isBase64.data, "base64");
  throw wrongLine(
    line,
    `input: expected base64, because inputContentType is ${shown(contentType)}`,
  );
}

function wrongLine(line: number, problem: string): CliError {
  return new CliError("invalid_argument", `Line ${line} is no job: ${problem}.`, { line });
}

function withLine<Value>(line: number, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    throw new CliError(
      error.code,
      error.message,
      { ...error.details, line },
      { cause: error.cause },
    );
  }
}

const LINE_FEED = 0x0a;

/** The lines that end in each chunk; the last one needs no line feed. */
async function* splitLines(
  chunks: AsyncIterable<Buffer>,
): AsyncGenerator<readonly Line[], void, undefined> {
  let parts: Buffer[] = [];
  let length = 0;
  let line = 1;
  for await (const chunk of chunks) {
    const lines: Line[] = [];
    let from = 0;
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, from)) {
      lines.push({ number: line, bytes: Buffer.concat([...parts, chunk.subarray(from, at)]) });
      parts = [];
      length = 0;
      line += 1;
      from = at + 1;
    }
    if (lines.length > 0) yield lines;
    if (from === chunk.length) continue;
    parts.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > INPUT_BYTES_MAX) {
      const message = `Line ${line} is longer than ${INPUT_BYTES_MAX} bytes; is it JSON lines?`;
      throw new CliError("payload_too_large", message, { line, bytesMax: INPUT_BYTES_MAX });
    }
  }
  if (parts.length > 0) yield [{ number: line, bytes: Buffer.concat(parts) }];
}
