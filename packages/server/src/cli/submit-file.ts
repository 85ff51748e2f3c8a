/** `baton submit --file`: jobs as JSON lines, streamed. */
import {
  BatonError,
  type JobRequest,
  type RefusedBatch,
  type SubmitStreamResult,
} from "@baton/sdk";

import { useClient, type ClientFlags } from "./client.ts";
import { countText } from "./count-text.ts";
import { CliError, withoutTransport } from "./failure.ts";
import { readChunks, requireFile, STDIN } from "./input.ts";
import { checkJobLines, readJobLines, type LineDefaults } from "./job-lines.ts";
import { enqueueOptionsOf, type JobFlags } from "./job-options.ts";
import { writeJson, writeLine } from "./output.ts";
import { openProgress } from "./progress.ts";

export interface SubmitFileOptions extends ClientFlags, JobFlags {
  /** `-`: standard input. */
  readonly file: string;
  /** Of lines that name none. */
  readonly task: string | undefined;
}

/**
 * Submits the jobs of a file. All lines are checked first, so that a wrong one leaves nothing half submitted, and all that
 * are wrong are named; standard input can be read only once, and there what came before a wrong line is submitted.
 *
 * @throws CliError that names the lines and says what was accepted; bulk_refused when the server did not take all
 */
export async function submitFile(options: SubmitFileOptions): Promise<void> {
  const defaults: LineDefaults = { task: options.task, options: enqueueOptionsOf(options) };
  const total = await checkFile(options.file, defaults);
  const lines = new LineNumbers();
  const progress = openProgress({ label: "submitting", unit: "jobs", total });
  const result = await useClient(options, (client) =>
    client.submitStream(requests(options.file, defaults, lines), {
      onProgress: ({ sentCount }) => {
        lines.sentCount = sentCount;
        progress.update(sentCount);
      },
    }),
  )
    .catch((error: unknown) => {
      throw withAcceptedCount(error, lines);
    })
    .finally(() => progress.end());
  await report(options, result, lines);
}

/** Reads the whole file once; undefined where that is not possible. */
async function checkFile(path: string, defaults: LineDefaults): Promise<number | undefined> {
  if (path === STDIN) return undefined;
  const { isRegular } = await requireFile(path);
  if (!isRegular) return undefined;
  return checkJobLines(readChunks(path), defaults).catch((error: unknown) => {
    throw error instanceof CliError ? withEnd(error, NOTHING_SUBMITTED) : error;
  });
}

async function* requests(
  path: string,
  defaults: LineDefaults,
  lines: LineNumbers,
): AsyncGenerator<JobRequest, void, undefined> {
  try {
    for await (const { line, request } of readJobLines(readChunks(path), defaults)) {
      lines.add(line);
      yield request;
    }
    lines.isComplete = true;
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    // The stream adds to its own errors how many jobs were accepted before.
    throw new BatonError(error.code, error.message, error.details, { cause: error.cause });
  }
}

/** The line of each job, kept as the few places where empty lines shift them. */
class LineNumbers {
  /** Jobs that were handed to the server. */
  sentCount = 0;
  /** Whether there are no more lines. */
  isComplete = false;
  #count = 0;
  readonly #shifts: { readonly fromIndex: number; readonly by: number }[] = [];

  add(line: number): void {
    const by = line - this.#count;
    if (by !== this.#shifts.at(-1)?.by) this.#shifts.push({ fromIndex: this.#count, by });
    this.#count += 1;
  }

  of(index: number): number {
    return index + (this.#shifts.findLast(({ fromIndex }) => fromIndex <= index)?.by ?? 1);
  }
}

async function report(
  options: SubmitFileOptions,
  result: SubmitStreamResult,
  lines: LineNumbers,
): Promise<void> {
  const { acceptedCount, duplicateCount, refusedBatchCount } = result;
  const refused = result.refused.map((batch) => refusedJson(batch, lines));
  if (options.json) await writeJson({ acceptedCount, duplicateCount, refusedBatchCount, refused });
  else await writeLine(acceptedText(result));
  if (refusedBatchCount === 0) return;
  const refusedCount = result.refused.reduce((sum, { jobCount }) => sum + jobCount, 0);
  const least = refusedBatchCount > result.refused.length ? "more than " : "";
  throw new CliError(
    "bulk_refused",
    `The server refused ${countText(refusedBatchCount, "batch", "batches")} with ${least}` +
      `${countText(refusedCount, "job")} whole, because of the lines below. Correct them and submit those batches again.`,
    { acceptedCount, items: refused.flatMap(linesToCorrect) },
  );
}

function acceptedText({ acceptedCount, duplicateCount }: SubmitStreamResult): string {
  const duplicates = duplicateCount === 0 ? "" : `, ${duplicateCount} of them submitted before`;
  return `Accepted: ${countText(acceptedCount, "job")}${duplicates}.`;
}

function refusedJson(batch: RefusedBatch, lines: LineNumbers) {
  const firstLine = lines.of(batch.firstJobIndex);
  const lastLine = lines.of(batch.firstJobIndex + batch.jobCount - 1);
  const { code, message } = batch.error;
  const items = itemsOf(batch.error).map((item) => ({
    line: lines.of(batch.firstJobIndex + item.index),
    code: item.code,
    message: item.message,
  }));
  return { firstLine, lastLine, code, message, items };
}

/** The wrong lines of a batch, or all when the server names none. */
function linesToCorrect(batch: RefusedLines): readonly object[] {
  const { firstLine, lastLine, code, message, items } = batch;
  return items.length === 0 ? [{ line: `${firstLine} to ${lastLine}`, code, message }] : items;
}

type RefusedLines = ReturnType<typeof refusedJson>;

function itemsOf(
  error: BatonError,
): readonly { readonly index: number; readonly code: string; readonly message: string }[] {
  const items = error.details["items"];
  if (!Array.isArray(items)) return [];
  const known: readonly unknown[] = items;
  return known.flatMap((item) => {
    if (typeof item !== "object" || item === null || !("index" in item)) return [];
    const { index, code, message }: Partial<Record<string, unknown>> = { ...item };
    return typeof index === "number"
      ? [{ index, code: String(code), message: String(message) }]
      : [];
  });
}

/** An error of the stream says which job; here it says which line, and what became of the others. */
function withAcceptedCount(error: unknown, lines: LineNumbers): unknown {
  if (!(error instanceof BatonError)) return error;
  const { code, message, details } = error;
  const index = details["index"];
  const line = typeof index === "number" ? lines.of(index) : undefined;
  const place = line === undefined ? "" : `Line ${line}: `;
  const placed = new CliError(
    code,
    `${place}${withoutTransport(message)}`,
    { ...details, ...(line !== undefined && { line }) },
    { cause: error },
  );
  const isUnsent = code === "connection_failed" && details["mayHaveHappened"] !== true;
  return withEnd(placed, isUnsent ? NOTHING_SUBMITTED : fateOf(details["acceptedCount"], lines));
}

const NOTHING_SUBMITTED = "Nothing was submitted.";

/** What was accepted, and from where on nothing was sent: what waits for a batch to be full is never sent. */
function fateOf(acceptedCount: unknown, lines: LineNumbers): string {
  const { sentCount } = lines;
  if (sentCount === 0) return NOTHING_SUBMITTED;
  const last = lines.of(sentCount - 1);
  const sent = `lines ${lines.of(0)} to ${last}`;
  const rest = lines.isComplete ? "" : ` Nothing from line ${last + 1} on was submitted.`;
  if (typeof acceptedCount !== "number") {
    return `How many of the jobs of ${sent} were accepted is not known.${rest}`;
  }
  const accepted =
    acceptedCount === sentCount
      ? countText(sentCount, "job")
      : `${acceptedCount.toLocaleString("en-US")} of ${countText(sentCount, "job")}`;
  return `Accepted: ${accepted}, ${sent}.${rest}`;
}

/** The same error with one more sentence. */
function withEnd(error: CliError, sentence: string): CliError {
  const { code, message, details, cause } = error;
  return new CliError(code, `${message.replace(/\.$/, "")}. ${sentence}`, details, { cause });
}
