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
import type { HeldAttempt } from "./worker-session.ts";

export interface OutcomeWriterOptions {
  readonly db: Database;
  readonly lanes: Lanes;
  readonly onQueued: (lanes: ReadonlySet<Lane>) => void;
  readonly onScheduled: (dueInMs: number) => void;
  readonly onChanged: (jobIds: readonly string[]) => void;
  readonly onError: (error: unknown) => void;
}

/** Who waits for endings to be written. Of each exactly one of the two is called, once. */
export interface EndingOwner {
  settle(ending: Ending, isStale: boolean): void;
  /** The database was abandoned, or this is a bug: nothing is known of what became of it. */
  fail(ending: Ending, error: unknown): void;
}

/** The end of one attempt on its way into the table. */
export type Ending = {
  readonly owner: EndingOwner;
  /** As its session knew it; absent when it did not. */
  readonly held?: HeldAttempt | undefined;
} & (
  | ({
      readonly kind: "succeed";
      /** Before this attempt. */
      readonly failureCount: number;
      readonly lostCount: number;
    } & SucceededAttempt)
  | ({ readonly kind: "finish" } & FinishedAttempt)
  | ({ readonly kind: "reschedule" } & RescheduledAttempt)
);

type EndingOf<Kind> = Extract<Ending, { readonly kind: Kind }>;

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
    const result = ending.kind === "succeed" ? ending.result : undefined;
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

  // Of two contradicting outcomes in one batch the success is believed, whichever came first: the work is done.
  async #write(batch: readonly Ending[]): Promise<void> {
    await this.#writeGroup(ofKind(batch, "succeed"), (group) => this.#succeed(group));
    await this.#writeGroup(ofKind(batch, "finish"), (group) => this.#finish(group));
    await this.#writeGroup(ofKind(batch, "reschedule"), (group) => this.#reschedule(group));
  }

  /** Writes a group; when one of it does not fit into the database, each alone, so that only that one is refused. */
  async #writeGroup<Kind extends Ending>(
    group: readonly Kind[],
    write: (group: readonly Kind[]) => Promise<readonly AttemptKey[]>,
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
    for (const ending of group) {
      const isStale = stale.size > 0 && stale.has(fenceOf(ending.jobId, ending.attempt));
      ending.owner.settle(ending, isStale);
    }
  }

  async #staleOf(
    group: readonly Ending[],
    unmatched: readonly AttemptKey[],
  ): Promise<ReadonlySet<string>> {
    if (unmatched.length === 0) return NONE;
    const outcomes = new Map(group.map((ending) => [ending.jobId, outcomeOf(ending)]));
    const recorded = await this.recorded(
      unmatched.map((key) => ({ ...key, outcome: outcomes.get(key.id) ?? "lost" })),
    );
    return new Set(unmatched.map((key) => fenceOf(key.id, key.attempt))).difference(recorded);
  }

  // A worker that repeats itself within one batch is answered as if it had said it once: the row is gone for the second.
  async #succeed(group: readonly EndingOf<"succeed">[]): Promise<readonly AttemptKey[]> {
    const unmatched = await jobSucceed(this.#options.db, group);
    this.#options.onChanged(group.map((ending) => ending.jobId));
    return unmatched;
  }

  async #finish(group: readonly EndingOf<"finish">[]): Promise<readonly AttemptKey[]> {
    const unmatched = await jobFinish(this.#options.db, firstOfEachFence(group));
    this.#options.onChanged(group.map((ending) => ending.jobId));
    return unmatched;
  }

  async #reschedule(group: readonly EndingOf<"reschedule">[]): Promise<readonly AttemptKey[]> {
    const attempts = firstOfEachFence(group);
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
    const { jobId, attempt, durationMs, failureCount, lostCount, owner, held } = ending;
    const error: JobError = {
      code: "invalid_result",
      message: `The outcome could not be stored: ${cause instanceof Error ? cause.message : "data error"}`,
    };
    const dead: EndingOf<"finish"> = {
      kind: "finish",
      owner,
      held,
      jobId,
      attempt,
      durationMs,
      // Of an attempt that did not succeed the failure is counted already.
      failureCount: ending.kind === "succeed" ? failureCount + 1 : failureCount,
      lostCount,
      state: "dead",
      outcome: "failed",
      error,
    };
    const { db, onError } = this.#options;
    const unmatched = await persistently(db, () => this.#finish([dead]), onError);
    await this.#settle([dead], unmatched);
  }
}

const NONE: ReadonlySet<string> = new Set();

function ofKind<Kind extends Ending["kind"]>(
  batch: readonly Ending[],
  kind: Kind,
): readonly EndingOf<Kind>[] {
  return batch.filter((ending): ending is EndingOf<Kind> => ending.kind === kind);
}

function failAll(group: readonly Ending[], error: unknown): void {
  for (const ending of group) ending.owner.fail(ending, error);
}

/** A worker that came back may say what it had said already: an attempt ends once, and is kept once. */
function firstOfEachFence<Kind extends Ending>(group: readonly Kind[]): readonly Kind[] {
  const byFence = new Map<string, Kind>();
  for (const ending of group) {
    const fence = fenceOf(ending.jobId, ending.attempt);
    if (!byFence.has(fence)) byFence.set(fence, ending);
  }
  return [...byFence.values()];
}

function outcomeOf(ending: Ending): Outcome {
  return ending.kind === "succeed" ? "succeeded" : ending.outcome;
}
