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
const Line = z.strictObject({
  task: z.string().min(1).optional(),
  input: z.unknown().optional(),
  inputContentType: z.string().optional(),
  queue: z.string().optional(),
  priority: z.int().optional(),
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
  maxAttempts: z.int().min(1).optional(),
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
  tags: z.array(z.string()).optional(),
  idempotencyKey: z.string().optional(),
  uniqueKey: z.string().optional(),
  onConflict: z.enum(ON_CONFLICT).optional(),
});

/**
 * Reads jobs from chunks of a file.
 *
 * @throws CliError malformed_json, invalid_argument, payload_too_large; the message and `details.line` say which line
 */
export async function* readJobLines(
  chunks: AsyncIterable<Buffer>,
  defaults: LineDefaults,
): AsyncGenerator<JobLine, void, undefined> {
  let line = 0;
  for await (const bytes of splitLines(chunks)) {
    line += 1;
    const text = decodeUtf8(bytes, `line ${line}`);
    if (text.trim() === "") continue;
    yield { line, request: parseLine(line, text, defaults) };
  }
}

function parseLine(line: number, text: string, defaults: LineDefaults): JobRequest {
  const value = withLine(line, () => parseJsonText(text, `line ${line}`));
  const parsed = Line.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const place = issue === undefined || issue.path.length === 0 ? "" : `${issue.path.join(".")}: `;
    throw wrongLine(line, `${place}${issue?.message ?? "wrong"}`);
  }
  const { task = defaults.task, input, ...given } = parsed.data;
  if (task === undefined) throw wrongLine(line, "task: expected the name of a task, received none");
  const { delayMs, runAt, ...untimed } = defaults.options;
  // A line's own time replaces the other kind of time, too.
  const isTimed = given.runAt !== undefined || given.delayMs !== undefined;
  const options = { ...untimed, ...(!isTimed && { delayMs, runAt }), ...given };
  return { task, input: inputOf(line, input, options.inputContentType), options };
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

async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  let parts: Buffer[] = [];
  let length = 0;
  let line = 1;
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, from)) {
      yield Buffer.concat([...parts, chunk.subarray(from, at)]);
      parts = [];
      length = 0;
      line += 1;
      from = at + 1;
    }
    if (from === chunk.length) continue;
    parts.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > INPUT_BYTES_MAX) {
      const message = `Line ${line} is longer than ${INPUT_BYTES_MAX} bytes; is it JSON lines?`;
      throw new CliError("payload_too_large", message, { line, bytesMax: INPUT_BYTES_MAX });
    }
  }
  if (parts.length > 0) yield Buffer.concat(parts);
}
