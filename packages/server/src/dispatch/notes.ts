/** What handlers say while they run: progress and log lines, written in batches. Losing some to a crash is accepted. */
import { BATCH_BYTES_MAX, LOG_PENDING_BYTES_MAX, LOG_PENDING_MAX } from "../domain/limits.ts";
import { isConnectionError, isDataError, type Database } from "../store/db.ts";
import {
  jobProgress,
  logAppend,
  type NewLogLine,
  type ProgressReport,
} from "../store/job-notes.ts";
import { Batcher } from "./batcher.ts";
import { patiently } from "./patience.ts";

/** Lines in one statement. */
const LOG_BATCH = 1_000;

export interface NotesOptions {
  readonly db: Database;
  readonly onChanged: (jobIds: readonly string[]) => void;
  readonly onError: (error: unknown) => void;
}

/** A line, or somebody who waits until all lines before are written. */
type LogEntry =
  | { readonly kind: "line"; readonly line: NewLogLine }
  | { readonly kind: "mark"; readonly reached: () => void };

export class Notes {
  readonly #options: NotesOptions;
  readonly #logs: Batcher<LogEntry>;
  /** The latest of each job. */
  #progress = new Map<string, ProgressReport>();
  #writing: Promise<void> | undefined;

  constructor(options: NotesOptions) {
    this.#options = options;
    this.#logs = new Batcher({
      write: (entries) => this.#writeLogs(entries),
      // One at a time, so that the lines of an attempt keep their order.
      writesMax: 1,
      batchRowsMax: LOG_BATCH,
      batchBytesMax: BATCH_BYTES_MAX,
      pendingRowsMax: LOG_PENDING_MAX,
      pendingBytesMax: LOG_PENDING_BYTES_MAX,
      what: "log lines",
      onError: options.onError,
    });
  }

  /** Keeps the latest progress of each job. */
  progress(reports: readonly ProgressReport[]): void {
    for (const report of reports) this.#progress.set(report.jobId, report);
    if (reports.length > 0) this.#writing ??= this.#writeProgress();
  }

  /** Takes lines. Resolves at once, or after all waiting lines are written when there are many. */
  async logs(lines: readonly NewLogLine[]): Promise<void> {
    for (const line of lines) {
      if (this.#isHalfFull()) await this.#logs.idle();
      this.#logs.add({ kind: "line", line }, 1, line.message.length + (line.fields?.length ?? 0));
    }
  }

  #isHalfFull(): boolean {
    const { pendingRows, pendingBytes } = this.#logs;
    return pendingRows >= LOG_PENDING_MAX / 2 || pendingBytes >= LOG_PENDING_BYTES_MAX / 2;
  }

  /** Resolves when the lines taken so far are written; `undefined` when they are already. */
  logsWritten(): Promise<void> | undefined {
    if (this.#logs.isIdle) return undefined;
    return new Promise((reached) => this.#logs.add({ kind: "mark", reached }, 1));
  }

  /** Waits until everything is written. */
  async idle(): Promise<void> {
    await this.#logs.idle();
    await this.#writing;
  }

  async #writeProgress(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#progress.size > 0) {
      const reports = [...this.#progress.values()];
      this.#progress = new Map();
      await this.#writeEach(reports, (group) => jobProgress(this.#options.db, group));
      this.#options.onChanged(reports.map((report) => report.jobId));
    }
    this.#writing = undefined;
  }

  async #writeLogs(entries: readonly LogEntry[]): Promise<void> {
    const lines = entries.flatMap((entry) => (entry.kind === "line" ? [entry.line] : []));
    if (lines.length > 0)
      await this.#writeEach(lines, (group) => logAppend(this.#options.db, group));
    for (const entry of entries) if (entry.kind === "mark") entry.reached();
  }

  /** Writes a group; when one of it does not fit into the database, each alone, so that only that one is lost. */
  async #writeEach<Note>(
    group: readonly Note[],
    write: (group: readonly Note[]) => Promise<void>,
  ): Promise<void> {
    try {
      await patiently(this.#options.db, () => write(group));
    } catch (error) {
      if (isDataError(error) && group.length > 1) {
        for (const note of group) await this.#writeEach([note], write);
      } else {
        this.#options.onError(
          isConnectionError(error) ? new Error("notes were lost", { cause: error }) : error,
        );
      }
    }
  }
}
