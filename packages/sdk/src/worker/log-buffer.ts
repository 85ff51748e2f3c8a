/**
 * Log lines on their way up, in the order in which they came.
 *
 * All attempts of a worker share one bounded room. An attempt may hold as much as is free: alone it gets one half, one of
 * n that write without end gets 1/(n + 1), and as much stays free for who comes next, so that a noisy attempt never
 * costs another one its lines (dynamic queue thresholds, Choudhury and Hahne 1998). What an attempt writes beyond its
 * share is counted, and one line says at its place how many are missing; the attempt is heard again when that is sent.
 */
import { jsonFault } from "../json-fault.ts";
import type { LogBatch, LogEntry } from "../gen/baton/v1/worker.ts";
import {
  LOG_BATCH_BYTES_MAX,
  LOG_BATCH_LINES_MAX,
  LOG_BYTES_WAITING_MAX,
  LOG_FIELDS_BYTES_MAX,
  LOG_LINES_WAITING_MAX,
  LOG_MESSAGE_BYTES_MAX,
} from "../limits.ts";
import { inspected } from "../shown.ts";
import type { LogLevel } from "../views.ts";
import type { Attempt } from "./attempt.ts";
import { truncateBytes } from "./truncate.ts";

export class LogBuffer {
  #waiting: Waiting[] = [];
  #lines = 0;
  #bytes = 0;
  readonly #shares = new Map<Attempt, Share>();

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Never throws, whatever it is given. */
  add(
    attempt: Attempt,
    level: LogLevel,
    message: unknown,
    fields: Readonly<Record<string, unknown>> | undefined,
  ): void {
    const share = this.#shareOf(attempt);
    const at = new Date();
    if (share.gap !== undefined) {
      share.gap.count += 1;
    } else if (this.#hasRoom(share)) {
      const text = truncateBytes(
        typeof message === "string" ? message : inspected(message),
        LOG_MESSAGE_BYTES_MAX,
      );
      const encoded = encodeFields(fields);
      const bytes = Buffer.byteLength(text) + encoded.length;
      this.#push({ share, at, level, message: text, fields: encoded, bytes });
    } else {
      share.gap = { count: 1 };
      this.#waiting.push({ share, at, gap: share.gap });
    }
  }

  /** The next message, or undefined when all are taken. */
  take(): LogBatch | undefined {
    let size = 0;
    let bytes = 0;
    for (const waiting of this.#waiting) {
      bytes += "gap" in waiting ? 0 : waiting.bytes;
      if (size === LOG_BATCH_LINES_MAX || (size > 0 && bytes > LOG_BATCH_BYTES_MAX)) break;
      size += 1;
    }
    if (size === 0) return undefined;
    const taken = this.#waiting;
    this.#waiting = size === taken.length ? [] : taken.splice(size);
    return { entries: taken.map((waiting) => this.#toEntry(waiting)) };
  }

  #shareOf(attempt: Attempt): Share {
    const known = this.#shares.get(attempt);
    if (known !== undefined) return known;
    const share: Share = { attempt, lines: 0, bytes: 0, gap: undefined };
    this.#shares.set(attempt, share);
    return share;
  }

  #hasRoom({ lines, bytes }: Share): boolean {
    return (
      lines < LOG_LINES_WAITING_MAX - this.#lines && bytes < LOG_BYTES_WAITING_MAX - this.#bytes
    );
  }

  #push(line: WaitingLine): void {
    this.#waiting.push(line);
    this.#count(line, 1);
  }

  #count(line: WaitingLine, sign: 1 | -1): void {
    const bytes = sign * line.bytes;
    this.#lines += sign;
    this.#bytes += bytes;
    line.share.lines += sign;
    line.share.bytes += bytes;
  }

  #toEntry(waiting: Waiting): LogEntry {
    const { share, at } = waiting;
    const { jobId, attempt } = share.attempt.job;
    const place = { jobId, attempt, at };
    if ("gap" in waiting) share.gap = undefined;
    else this.#count(waiting, -1);
    if (share.lines === 0 && share.gap === undefined) this.#shares.delete(share.attempt);
    if (!("gap" in waiting)) {
      const { level, message, fields } = waiting;
      return { ...place, level, message, fields };
    }
    const { count } = waiting.gap;
    const missing = count === 1 ? "1 log line is missing" : `${count} log lines are missing`;
    const message = `${missing} here: more than the worker could send`;
    return { ...place, level: "warn", message, fields: EMPTY };
  }
}

/** What one attempt holds of the room. */
interface Share {
  readonly attempt: Attempt;
  lines: number;
  bytes: number;
  /** Lines that are missing since the gap that waits to be told. */
  gap: Gap | undefined;
}

interface Gap {
  count: number;
}

interface WaitingLine {
  readonly share: Share;
  readonly at: Date;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Buffer;
  /** Of message and fields. */
  readonly bytes: number;
}

type Waiting = WaitingLine | { readonly share: Share; readonly at: Date; readonly gap: Gap };

const EMPTY = Buffer.alloc(0);

function encodeFields(fields: Readonly<Record<string, unknown>> | undefined): Buffer {
  if (fields === undefined || fields === null) return EMPTY;
  try {
    const text = JSON.stringify({ ...fields });
    const bytes = Buffer.from(text);
    if (bytes.length <= LOG_FIELDS_BYTES_MAX) return bytes;
    return encodeNote(
      `fields of ${bytes.length} bytes were left out, at most ${LOG_FIELDS_BYTES_MAX} fit`,
    );
  } catch (error) {
    return encodeNote(`fields were left out, they are not JSON: ${jsonFault(error)}`);
  }
}

function encodeNote(note: string): Buffer {
  return Buffer.from(JSON.stringify({ note: truncateBytes(note, LOG_FIELDS_BYTES_MAX / 16) }));
}
