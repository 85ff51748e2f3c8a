/** Writes what was decided of attempts, in batches, and tells each entry whether its fence still held. */
import { fenceOf, type JobError, type Outcome } from "../domain/job.ts";
import {
  BATCH_BYTES_MAX,
  OUTCOME_BATCH_MAX,
  OUTCOME_PENDING_BYTES_MAX,
  OUTCOME_PENDING_MAX,
} from "../domain/limits.ts";
import { rescheduleAttempts } from "../operations/end-attempts.ts";
import { isDataError, type Database } from "../store/db.ts";
import type { AttemptKey } from "../store/fence.ts";
import {
  attemptRecorded,
  jobFinish,
  jobSucceed,
  type FinishedAttempt,
  type RecordedAttempt,
  type RescheduledAttempt,
  type SucceededAttempt,
} from "../store/job-finish.ts";
import { Batcher } from "./batcher.ts";
import type { Lane } from "./lane.ts";
import type { Lanes } from "./lanes.ts";
import { persistently } from "./patience.ts";

export interface OutcomeWriterOptions {
  readonly db: Database;
  readonly lanes: Lanes;
  readonly onQueued: (lanes: ReadonlySet<Lane>) => void;
  readonly onScheduled: (dueInMs: number) => void;
  readonly onChanged: (jobIds: readonly string[]) => void;
  readonly onError: (error: unknown) => void;
}

/** The end of one attempt on its way into the table. Exactly one of `settle` and `fail` is called, once. */
export type Ending = {
  /** Of the attempt. */
  readonly fence: string;
  readonly settle: (isStale: boolean) => void;
  /** The database was abandoned, or this is a bug: nothing is known of what became of it. */
  readonly fail: (error: unknown) => void;
} & (
  | {
      readonly kind: "succeed";
      readonly attempt: SucceededAttempt;
      /** Before this attempt. */
      readonly failureCount: number;
      readonly lostCount: number;
    }
  | { readonly kind: "finish"; readonly attempt: FinishedAttempt }
  | { readonly kind: "reschedule"; readonly attempt: RescheduledAttempt }
);

export class OutcomeWriter {
  readonly #options: OutcomeWriterOptions;
  readonly #batcher: Batcher<Ending>;

  constructor(options: OutcomeWriterOptions) {
    this.#options = options;
    this.#batcher = new Batcher({
      write: (endings) => this.#write(endings),
      writesMax: 2,
      batchRowsMax: OUTCOME_BATCH_MAX,
      batchBytesMax: BATCH_BYTES_MAX,
      // What was reported is taken in. Who reports waits for room before it reports more.
      pendingRowsMax: Number.POSITIVE_INFINITY,
      pendingBytesMax: Number.POSITIVE_INFINITY,
      what: "outcomes",
      onError: options.onError,
    });
  }

  add(ending: Ending): void {
    const result = ending.kind === "succeed" ? ending.attempt.result : undefined;
    this.#batcher.add(ending, 1, result?.length ?? 0);
  }

  /** Resolves when there is room for more; `undefined` when there is now. */
  room(): Promise<void> | undefined {
    const { pendingRows, pendingBytes } = this.#batcher;
    const isFull = pendingRows > OUTCOME_PENDING_MAX || pendingBytes > OUTCOME_PENDING_BYTES_MAX;
    return isFull ? this.#batcher.idle() : undefined;
  }

  /** Waits until everything added is written. */
  idle(): Promise<void> {
    return this.#batcher.idle();
  }

  /** The fences of those outcomes that stand in the books already. */
  async recorded(told: readonly RecordedAttempt[]): Promise<ReadonlySet<string>> {
    if (told.length === 0) return NONE;
    const { db, onError } = this.#options;
    const rows = await persistently(db, () => attemptRecorded(db, told), onError);
    return new Set(rows.map((row) => fenceOf(row.id, row.attempt)));
  }

  async #write(batch: readonly Ending[]): Promise<void> {
    const endings = firstOfEachFence(batch);
    const of = (kind: Ending["kind"]): readonly Ending[] =>
      endings.filter((ending) => ending.kind === kind);
    await this.#writeGroup(of("succeed"), (group) => this.#succeed(group));
    await this.#writeGroup(of("finish"), (group) => this.#finish(group));
    await this.#writeGroup(of("reschedule"), (group) => this.#reschedule(group));
  }

  /** Writes a group; when one of it does not fit into the database, each alone, so that only that one is refused. */
  async #writeGroup(
    group: readonly Ending[],
    write: (group: readonly Ending[]) => Promise<readonly AttemptKey[]>,
  ): Promise<void> {
    const [first] = group;
    if (first === undefined) return;
    const { db, onError } = this.#options;
    try {
      // An outcome that was reported is never given up: the worker has done the work.
      const unmatched = await persistently(db, () => write(group), onError);
      await this.#settle(group, unmatched);
    } catch (error) {
      if (!isDataError(error)) failAll(group, error);
      else if (group.length > 1)
        for (const ending of group) await this.#writeGroup([ending], write);
      else await this.#finishUnstorable(first, error).catch((worse) => failAll(group, worse));
    }
  }

  async #settle(group: readonly Ending[], unmatched: readonly AttemptKey[]): Promise<void> {
    const stale = await this.#staleOf(group, unmatched);
    for (const ending of group) ending.settle(stale.has(ending.fence));
  }

  async #staleOf(
    group: readonly Ending[],
    unmatched: readonly AttemptKey[],
  ): Promise<ReadonlySet<string>> {
    if (unmatched.length === 0) return NONE;
    const outcomes = new Map(group.map((ending) => [ending.attempt.jobId, outcomeOf(ending)]));
    const recorded = await this.recorded(
      unmatched.map((key) => ({ ...key, outcome: outcomes.get(key.id) ?? "lost" })),
    );
    return new Set(unmatched.map((key) => fenceOf(key.id, key.attempt))).difference(recorded);
  }

  async #succeed(group: readonly Ending[]): Promise<readonly AttemptKey[]> {
    const attempts = group.flatMap((ending) => (ending.kind === "succeed" ? [ending.attempt] : []));
    const unmatched = await jobSucceed(this.#options.db, attempts);
    this.#options.onChanged(attempts.map((attempt) => attempt.jobId));
    return unmatched;
  }

  async #finish(group: readonly Ending[]): Promise<readonly AttemptKey[]> {
    const attempts = group.flatMap((ending) => (ending.kind === "finish" ? [ending.attempt] : []));
    const unmatched = await jobFinish(this.#options.db, attempts);
    this.#options.onChanged(attempts.map((attempt) => attempt.jobId));
    return unmatched;
  }

  async #reschedule(group: readonly Ending[]): Promise<readonly AttemptKey[]> {
    const attempts = group.flatMap((ending) =>
      ending.kind === "reschedule" ? [ending.attempt] : [],
    );
    const rows = await rescheduleAttempts(this.#options.db, attempts);
    await this.#wake(
      attempts,
      rows.flatMap((row) => row.lane_id ?? []),
    );
    this.#options.onChanged(attempts.map((attempt) => attempt.jobId));
    return rows.filter((row) => row.is_stale);
  }

  async #wake(attempts: readonly RescheduledAttempt[], laneIds: readonly number[]): Promise<void> {
    const delays = attempts.map((attempt) => attempt.delayMs);
    const soonest = Math.min(...delays.filter((delayMs) => delayMs > 0));
    if (Number.isFinite(soonest)) this.#options.onScheduled(soonest);
    if (!delays.includes(0)) return;
    const lanes = await this.#options.lanes.resolve([...new Set(laneIds)]);
    this.#options.onQueued(new Set(lanes));
  }

  /** A handler's answer that the database cannot keep ends the job with an error that can be kept. */
  async #finishUnstorable(ending: Ending, cause: unknown): Promise<void> {
    const { jobId, attempt, durationMs } = ending.attempt;
    const error: JobError = {
      code: "invalid_result",
      message: `The outcome could not be stored: ${cause instanceof Error ? cause.message : "data error"}`,
    };
    // An attempt that did not succeed has its failure counted already.
    const { failureCount, lostCount } =
      ending.kind === "succeed"
        ? { ...ending, failureCount: ending.failureCount + 1 }
        : ending.attempt;
    const dead: Ending = {
      kind: "finish",
      fence: ending.fence,
      settle: ending.settle,
      fail: ending.fail,
      attempt: {
        jobId,
        attempt,
        durationMs,
        failureCount,
        lostCount,
        state: "dead",
        outcome: "failed",
        error,
      },
    };
    const { db, onError } = this.#options;
    const unmatched = await persistently(db, () => this.#finish([dead]), onError);
    await this.#settle([dead], unmatched);
  }
}

const NONE: ReadonlySet<string> = new Set();

function failAll(group: readonly Ending[], error: unknown): void {
  for (const ending of group) ending.fail(error);
}

/** A worker that repeats itself within one batch is answered as if it had said it once. */
function firstOfEachFence(endings: readonly Ending[]): readonly Ending[] {
  const byFence = new Map<string, Ending>();
  for (const ending of endings) {
    const first = byFence.get(ending.fence);
    if (first === undefined) {
      byFence.set(ending.fence, ending);
    } else {
      const settle = (isStale: boolean): void => {
        first.settle(isStale);
        ending.settle(isStale);
      };
      const fail = (error: unknown): void => {
        first.fail(error);
        ending.fail(error);
      };
      byFence.set(ending.fence, { ...first, settle, fail });
    }
  }
  return byFence.size === endings.length ? endings : [...byFence.values()];
}

function outcomeOf(ending: Ending): Outcome {
  return ending.kind === "succeed" ? "succeeded" : ending.attempt.outcome;
}
