/**
 * The way in of jobs with idempotency keys or unique keys, which may be in each other's way: one statement at a time, so
 * that calls of this server with the same key take turns.
 */
import { createHash } from "node:crypto";

import type { JobSpec, SubmitResult } from "../domain/job-spec.ts";
import { AppError, refuseBadJobs } from "../errors.ts";
import {
  enqueueKeyed,
  isRefusal,
  type EnqueueItem,
  type EnqueueResult,
} from "../operations/enqueue.ts";
import { isDataError, type Database } from "../store/db.ts";
import { toNewJob, type AdmittedJob, type EnqueueCall } from "./admission.ts";
import { Batcher, type BatcherBounds } from "./batcher.ts";
import { DEFAULT_QUEUE, NAMESPACE_ID } from "./lanes.ts";
import { patiently } from "./patience.ts";

export interface KeyedIntakeOptions {
  readonly db: Database;
  readonly bounds: BatcherBounds;
  readonly idempotencyMs: number;
  /** Called with jobs that were looked at, and the state of each that was accepted. */
  readonly onWritten: (
    jobs: readonly AdmittedJob[],
    states: readonly (string | undefined)[],
  ) => void;
  readonly onError: (error: unknown) => void;
}

export class KeyedIntake {
  readonly #options: KeyedIntakeOptions;
  readonly #singles: Batcher<EnqueueCall>;
  readonly #bulks: Batcher<EnqueueCall>;

  constructor(options: KeyedIntakeOptions) {
    this.#options = options;
    const { bounds, onError } = options;
    this.#singles = new Batcher({
      ...bounds,
      writesMax: 1,
      write: (calls) => this.#writeSingles(calls),
      onError,
    });
    // Apart from the single ones, which would wait for seconds behind a large one.
    this.#bulks = new Batcher({
      ...bounds,
      writesMax: 1,
      write: (calls) => this.#writeBulks(calls),
      onError,
    });
  }

  /** Adds a call to the next statement. @throws AppError resource_exhausted */
  add(call: EnqueueCall, rows: number, bytes: number): void {
    (call.jobs.length > 1 ? this.#bulks : this.#singles).add(call, rows, bytes);
  }

  async idle(): Promise<void> {
    await Promise.all([this.#singles.idle(), this.#bulks.idle()]);
  }

  /** Single jobs with keys share a transaction; calls with the same key take turns. */
  async #writeSingles(calls: readonly EnqueueCall[]): Promise<void> {
    let rest = calls;
    while (rest.length > 0) {
      const keys = new Set<string>();
      const now: EnqueueCall[] = [];
      const later: EnqueueCall[] = [];
      for (const call of rest) {
        const { idempotencyKey, uniqueKey } = call.jobs[0]?.keyed ?? {};
        const own = [`i${idempotencyKey ?? ""}`, `u${uniqueKey ?? ""}`].filter(
          (key) => key.length > 1,
        );
        (own.some((key) => keys.has(key)) ? later : now).push(call);
        for (const key of own) keys.add(key);
      }
      await this.#writeDistinct(now);
      rest = later;
    }
  }

  async #writeDistinct(calls: readonly EnqueueCall[]): Promise<void> {
    const jobs = calls.flatMap((call) => call.jobs);
    try {
      const results = await this.#enqueue(jobs, false);
      this.#options.onWritten(jobs, results.map(stateOf));
      calls.forEach((call, index) => {
        const [job] = call.jobs;
        const result = results[index];
        if (job === undefined || result === undefined) throw new Error("a keyed call has one job");
        if (isRefusal(result)) call.reject(refusal(job, result));
        else call.resolve([toSubmitResult(job, result)]);
      });
    } catch (error) {
      if (isDataError(error) && calls.length > 1) {
        for (const call of calls) await this.#writeDistinct([call]);
        return;
      }
      for (const call of calls) call.reject(error);
    }
  }

  /** Each is a transaction of its own, since each is accepted whole or not at all. */
  async #writeBulks(calls: readonly EnqueueCall[]): Promise<void> {
    for (const { jobs, resolve, reject } of calls) {
      await this.#writeBulk(jobs).then(resolve, reject);
    }
  }

  async #writeBulk(jobs: readonly AdmittedJob[]): Promise<readonly SubmitResult[]> {
    const results = await this.#enqueue(jobs, true);
    const problems = results.flatMap((result, index) => {
      const job = jobs[index];
      if (job === undefined || !isRefusal(result)) return [];
      return [{ index, error: refusal(job, result) }];
    });
    refuseBadJobs(problems, jobs.length);
    this.#options.onWritten(jobs, results.map(stateOf));
    return jobs.map((job, index) => toSubmitResult(job, results[index]));
  }

  async #enqueue(
    jobs: readonly AdmittedJob[],
    isAllOrNone: boolean,
  ): Promise<readonly EnqueueResult[]> {
    const items = jobs.map(toItem);
    const { db, idempotencyMs: keepMs } = this.#options;
    return patiently(db, (isRepeat) =>
      enqueueKeyed(db, NAMESPACE_ID, items, { keepMs, isAllOrNone, isRepeat }),
    );
  }
}

function stateOf(result: EnqueueResult): string | undefined {
  return result.kind === "accepted" ? result.state : undefined;
}

function toSubmitResult(job: AdmittedJob, result: EnqueueResult | undefined): SubmitResult {
  return result?.kind === "duplicate"
    ? { jobId: result.jobId, isDuplicate: true, state: result.state ?? "queued" }
    : {
        jobId: job.id,
        isDuplicate: false,
        state: result?.kind === "accepted" ? result.state : "queued",
      };
}

function refusal(job: AdmittedJob, result: EnqueueResult): AppError {
  const jobId = "jobId" in result ? result.jobId : "";
  return result.kind === "idempotency_conflict"
    ? new AppError(
        "idempotency_conflict",
        `The idempotency key ${JSON.stringify(job.keyed?.idempotencyKey)} belongs to job ${jobId}, which was submitted with ` +
          "another task, input or options. Use another key, or repeat exactly the same job.",
        { jobId },
      )
    : new AppError(
        "unique_conflict",
        `The unique key ${JSON.stringify(job.keyed?.uniqueKey)} is held by unfinished job ${jobId}.`,
        { jobId },
      );
}

function toItem(job: AdmittedJob): EnqueueItem {
  const { keyed } = job;
  const key = keyed?.idempotencyKey;
  return {
    job: toNewJob(job, undefined),
    idempotency:
      keyed === undefined || key === undefined
        ? undefined
        : { key, fingerprint: fingerprint(keyed) },
    onConflict: keyed?.onConflict === "reject" ? "reject" : "return_existing",
  };
}

function fingerprint(spec: JobSpec): string {
  const { idempotencyKey: _key, retry, ...rest } = spec;
  // What is left away means the same as its default.
  const filled = {
    ...rest,
    queue: spec.queue ?? DEFAULT_QUEUE,
    priority: spec.priority ?? 0,
    retry: retry && [retry.strategy, retry.baseMs, retry.maxMs, retry.jitter],
  };
  const sorted = Object.entries(filled)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(sorted)).digest("base64url");
}
