/** Log lines on their way up. Beyond its bounds lines are counted, and a line says how many are missing. */
import { inspect } from "node:util";

import type { LogBatch, LogEntry } from "../gen/baton/v1/worker.ts";
import {
  LOG_BATCH_BYTES_MAX,
  LOG_BATCH_LINES_MAX,
  LOG_BYTES_WAITING_MAX,
  LOG_FIELDS_BYTES_MAX,
  LOG_LINES_WAITING_MAX,
  LOG_MESSAGE_BYTES_MAX,
} from "../limits.ts";
import type { LogLevel } from "../views.ts";
import type { Attempt } from "./attempt.ts";
import { messageOf } from "./job-error.ts";
import { truncateBytes } from "./truncate.ts";

export class LogBuffer {
  #entries: LogEntry[] = [];
  #bytes = 0;
  readonly #missing = new Map<Attempt, number>();

  get hasWaiting(): boolean {
    return this.#entries.length > 0 || this.#missing.size > 0;
  }

  /** Never throws, whatever it is given. */
  add(
    attempt: Attempt,
    level: LogLevel,
    message: unknown,
    fields: Readonly<Record<string, unknown>> | undefined,
  ): void {
    if (this.#entries.length >= LOG_LINES_WAITING_MAX || this.#bytes >= LOG_BYTES_WAITING_MAX) {
      this.#missing.set(attempt, (this.#missing.get(attempt) ?? 0) + 1);
      return;
    }
    const text = typeof message === "string" ? message : inspect(message);
    this.#push(attempt, level, truncateBytes(text, LOG_MESSAGE_BYTES_MAX), encodeFields(fields));
  }

  /** The next message, or undefined when all are taken. */
  take(): LogBatch | undefined {
    if (this.#entries.length === 0) this.#tellMissing();
    let size = 0;
    let bytes = 0;
    for (const entry of this.#entries) {
      bytes += bytesOf(entry);
      if (size === LOG_BATCH_LINES_MAX || (size > 0 && bytes > LOG_BATCH_BYTES_MAX)) break;
      size += 1;
    }
    if (size === 0) return undefined;
    const entries = this.#entries;
    this.#entries = size === entries.length ? [] : entries.splice(size);
    for (const entry of entries) this.#bytes -= bytesOf(entry);
    return { entries };
  }

  #tellMissing(): void {
    for (const [attempt, count] of this.#missing) {
      this.#push(
        attempt,
        "warn",
        `${count} log lines are missing here: more than the worker could send`,
        EMPTY,
      );
    }
    this.#missing.clear();
  }

  #push(attempt: Attempt, level: LogLevel, message: string, fields: Buffer): void {
    const { jobId, attempt: number } = attempt.job;
    const entry = { jobId, attempt: number, at: new Date(), level, message, fields };
    this.#entries.push(entry);
    this.#bytes += bytesOf(entry);
  }
}

const EMPTY = Buffer.alloc(0);

function bytesOf(entry: LogEntry): number {
  return entry.message.length + entry.fields.length;
}

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
    return encodeNote(`fields were left out, they are not JSON: ${messageOf(error)}`);
  }
}

function encodeNote(note: string): Buffer {
  return Buffer.from(JSON.stringify({ note: truncateBytes(note, LOG_FIELDS_BYTES_MAX / 16) }));
}
