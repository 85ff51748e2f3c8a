import type { JobInfo, TaskContext, TaskLog } from "../context.ts";
import { BatonError } from "../errors.ts";
import { jsonFault } from "../json-fault.ts";
import { PROGRESS_BYTES_MAX } from "../limits.ts";
import { shown } from "../shown.ts";
import type { LogLevel } from "../views.ts";
import type { Attempt } from "./attempt.ts";

/** Where a handler's reports go. */
export interface ReportSink {
  /** @param value JSON, or undefined for a heartbeat */
  readonly progress: (attempt: Attempt, value: Buffer | undefined) => void;
  readonly log: (
    attempt: Attempt,
    level: LogLevel,
    message: string,
    fields: Readonly<Record<string, unknown>> | undefined,
  ) => void;
}

/**
 * What the handler gets. Everything is made when it is first asked for, because a handler that uses nothing shall cost
 * nothing; and everything works when taken apart (`run(input, { log, progress })`).
 */
export class AttemptContext implements TaskContext {
  readonly #attempt: Attempt;
  readonly #sink: ReportSink;
  #job: JobInfo | undefined;
  #log: TaskLog | undefined;

  constructor(attempt: Attempt, sink: ReportSink) {
    this.#attempt = attempt;
    this.#sink = sink;
  }

  get job(): JobInfo {
    this.#job ??= toJobInfo(this.#attempt);
    return this.#job;
  }

  get fence(): { readonly jobId: string; readonly attempt: number } {
    return { jobId: this.#attempt.job.jobId, attempt: this.#attempt.job.attempt };
  }

  get signal(): AbortSignal {
    return this.#attempt.signal;
  }

  get progress(): (value: unknown) => void {
    return (value) => this.#sink.progress(this.#attempt, encodeProgress(value));
  }

  get heartbeat(): () => void {
    return () => this.#sink.progress(this.#attempt, undefined);
  }

  get log(): TaskLog {
    this.#log ??= {
      debug: (message, fields) => this.#sink.log(this.#attempt, "debug", message, fields),
      info: (message, fields) => this.#sink.log(this.#attempt, "info", message, fields),
      warn: (message, fields) => this.#sink.log(this.#attempt, "warn", message, fields),
      error: (message, fields) => this.#sink.log(this.#attempt, "error", message, fields),
    };
    return this.#log;
  }
}

/** A job as people see it, for handlers and error reports. */
export function toJobInfo(attempt: Attempt): JobInfo {
  const { job } = attempt;
  return {
    id: job.jobId,
    attempt: job.attempt,
    task: job.task,
    queue: job.queue,
    tags: job.tags,
    createdAt: job.createdAt ?? new Date(0),
    maxAttempts: job.maxAttempts,
    failureCount: job.failureCount,
    priority: job.priority,
  };
}

function encodeProgress(value: unknown): Buffer {
  let text: string | undefined;
  try {
    text = JSON.stringify(value === undefined ? null : value);
  } catch (cause) {
    const message = `progress is not JSON: ${jsonFault(cause)}`;
    throw new BatonError("invalid_argument", message, {}, { cause });
  }
  if (text === undefined) {
    throw new BatonError("invalid_argument", `progress is not JSON: got ${shown(value)}`);
  }
  const bytes = Buffer.from(text);
  if (bytes.length <= PROGRESS_BYTES_MAX) return bytes;
  throw new BatonError(
    "payload_too_large",
    `progress is ${bytes.length} bytes of JSON, at most ${PROGRESS_BYTES_MAX} fit; ` +
      "store large values elsewhere and report where",
    { bytes: bytes.length, bytesMax: PROGRESS_BYTES_MAX },
  );
}
