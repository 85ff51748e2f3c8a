/** The way out: decides what follows from each outcome and writes decisions in batches. */
import type { JobOptions } from "../domain/check-spec.ts";
import { fenceOf, type AttemptRef, type JobError, type Outcome } from "../domain/job.ts";
import { BATCH_BYTES_MAX, INTAKE_PENDING_MAX, OUTCOME_BATCH_MAX } from "../domain/limits.ts";
import { decideOutcome, type EndedAttempt, type ReportedOutcome } from "../domain/outcome.ts";
import type { RetryPolicy } from "../domain/retry.ts";
import { endedAttempt, rescheduleAttempts } from "../operations/end-attempts.ts";
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
import { jobRunning } from "../store/job-lease.ts";
import { Batcher } from "./batcher.ts";
import type { Lane } from "./lane.ts";
import type { Lanes } from "./lanes.ts";
import { patiently, persistently } from "./patience.ts";
import type { HeldAttempt, WorkerSession } from "./worker-session.ts";

/** An outcome as it came from a worker, or from the server in its place. */
export interface AttemptOutcome extends AttemptRef, ReportedOutcome {
  /** JSON text; only of succeeded attempts. */
  readonly result?: string | undefined;
  /** From the handler's start to its end; absent when it never started. */
  readonly durationMs?: number | undefined;
}

export interface OutcomesOptions {
  readonly db: Database;
  readonly lanes: Lanes;
  readonly onQueued: (lanes: ReadonlySet<Lane>) => void;
  readonly onScheduled: (dueInMs: number) => void;
  readonly onChanged: (jobIds: readonly string[]) => void;
  /** Called for an attempt that can have started because another one ended. */
  readonly onStarted: (session: WorkerSession, held: HeldAttempt) => void;
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly onError: (error: unknown) => void;
}

type Entry = { readonly settle: (isStale: boolean) => void } & (
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

export class Outcomes {
  readonly #options: OutcomesOptions;
  readonly #batcher: Batcher<Entry>;

  constructor(options: OutcomesOptions) {
    this.#options = options;
    this.#batcher = new Batcher({
      write: (entries) => this.#write(entries),
      writesMax: 2,
      batchWeightMax: OUTCOME_BATCH_MAX,
      // Bounded by the slots of the workers; these bounds are a net.
      pendingMax: Math.max(INTAKE_PENDING_MAX, 1_000_000),
      pendingWeightMax: Number.POSITIVE_INFINITY,
      what: "outcomes",
      onError: options.onError,
    });
  }

  /**
   * Books outcomes that a worker reported. Resolves when all of them are durable or refused.
   *
   * @returns the refused ones: the lease was another's, or the attempt had ended otherwise
   */
  async report(
    session: WorkerSession,
    outcomes: readonly AttemptOutcome[],
  ): Promise<readonly AttemptRef[]> {
    const stale: AttemptRef[] = [];
    const unknown: AttemptOutcome[] = [];
    await new Promise<void>((resolve, reject) => {
      let open = 1;
      const close = (): void => {
        open -= 1;
        if (open === 0) resolve();
      };
      for (const outcome of outcomes) {
        const held = session.find(outcome.jobId, outcome.attempt);
        if (held === undefined) {
          unknown.push(outcome);
          continue;
        }
        this.#letGo(session, held);
        open += 1;
        this.#decide(endedOf(held, this.#options), outcome, (isStale) => {
          session.ending.delete(outcome);
          if (isStale) stale.push({ jobId: outcome.jobId, attempt: outcome.attempt });
          close();
        });
      }
      this.#reportUnknown(session, unknown).then((refused) => {
        stale.push(...refused);
        close();
      }, reject);
    });
    return stale;
  }

  /** Ends an attempt in its worker's place. */
  end(session: WorkerSession, held: HeldAttempt, reported: ReportedOutcome): void {
    this.#letGo(session, held);
    this.#decide(endedOf(held, this.#options), { ...held, ...reported }, () =>
      session.ending.delete(held),
    );
  }

  /** Waits until everything reported is written. */
  idle(): Promise<void> {
    return this.#batcher.idle();
  }

  #letGo(session: WorkerSession, held: HeldAttempt): void {
    session.ending.add(held);
    const started = session.letGo(held, this.#options.now());
    if (started !== undefined) this.#options.onStarted(session, started);
  }

  #decide(ended: EndedAttempt, outcome: AttemptOutcome, settle: (isStale: boolean) => void): void {
    const { jobId, attempt, durationMs } = outcome;
    const decision = decideOutcome(ended, outcome, this.#options.random());
    if (decision.kind === "finish" && decision.state === "succeeded") {
      const { result } = outcome;
      const { failureCount, lostCount } = decision;
      const weight = 1 + (result?.length ?? 0) / BYTES_PER_WEIGHT;
      this.#batcher.add(
        {
          kind: "succeed",
          attempt: { jobId, attempt, result, durationMs: durationMs ?? 0 },
          failureCount,
          lostCount,
          settle,
        },
        weight,
      );
    } else if (decision.kind === "finish") {
      this.#batcher.add(
        { kind: "finish", attempt: { jobId, attempt, durationMs, ...decision }, settle },
        1,
      );
    } else {
      this.#batcher.add(
        { kind: "reschedule", attempt: { jobId, attempt, durationMs, ...decision }, settle },
        1,
      );
    }
  }

  /** Outcomes of attempts that this session does not hold: repeats, late ones, or made up. */
  async #reportUnknown(
    session: WorkerSession,
    outcomes: readonly AttemptOutcome[],
  ): Promise<readonly AttemptRef[]> {
    if (outcomes.length === 0) return [];
    const { db, lanes } = this.#options;
    const fences = outcomes.map(({ jobId, attempt }) => ({ id: jobId, attempt }));
    const rows = await patiently(db, () => jobRunning(db, fences));
    await patiently(db, () => lanes.resolve([...new Set(rows.map((row) => row.lane_id))]));
    const running = new Map(rows.map((row) => [fenceOf(row.id, row.attempt), row]));
    const own: Promise<AttemptOutcome | undefined>[] = [];
    const ended: AttemptOutcome[] = [];
    const stale: AttemptOutcome[] = [];
    for (const outcome of outcomes) {
      const row = running.get(fenceOf(outcome.jobId, outcome.attempt));
      if (row === undefined) {
        ended.push(outcome);
      } else if (row.worker_id !== session.id) {
        stale.push(outcome);
      } else {
        const attempt = endedAttempt(row, retryOf(row.options, lanes.byId(row.lane_id), lanes));
        own.push(
          new Promise((resolve) =>
            this.#decide(attempt, outcome, (isStale) => resolve(isStale ? outcome : undefined)),
          ),
        );
      }
    }
    const recorded = await this.#recorded(
      ended.map(({ jobId, attempt, kind }) => ({ id: jobId, attempt, outcome: kind })),
    );
    stale.push(...ended.filter(({ jobId, attempt }) => !recorded.has(fenceOf(jobId, attempt))));
    for (const refused of await Promise.all(own)) if (refused !== undefined) stale.push(refused);
    return stale.map(({ jobId, attempt }) => ({ jobId, attempt }));
  }

  async #write(batch: readonly Entry[]): Promise<void> {
    const entries = firstOfEachFence(batch);
    const succeeded = entries.filter((entry) => entry.kind === "succeed");
    const finished = entries.filter((entry) => entry.kind === "finish");
    const rescheduled = entries.filter((entry) => entry.kind === "reschedule");
    if (succeeded.length > 0) await this.#writeEach(succeeded, (group) => this.#succeed(group));
    if (finished.length > 0) await this.#writeEach(finished, (group) => this.#finish(group));
    if (rescheduled.length > 0)
      await this.#writeEach(rescheduled, (group) => this.#reschedule(group));
  }

  /** Writes a group; when one of it does not fit into the database, each alone, so that only that one is refused. */
  async #writeEach<Group extends Entry>(
    group: readonly Group[],
    write: (group: readonly Group[]) => Promise<readonly AttemptKey[]>,
  ): Promise<void> {
    try {
      // An outcome that was reported is never given up: the worker has done the work.
      const { db, onError } = this.#options;
      const unmatched = await persistently(db, () => write(group), onError);
      await this.#settle(group, unmatched);
    } catch (error) {
      if (!isDataError(error)) throw error;
      const [first] = group;
      if (group.length === 1 && first !== undefined) {
        await this.#finishUnstorable(first, error);
        return;
      }
      for (const entry of group) await this.#writeEach([entry], write);
    }
  }

  async #settle(group: readonly Entry[], unmatched: readonly AttemptKey[]): Promise<void> {
    const stale = await this.#staleOf(group, unmatched);
    for (const entry of group) {
      const { jobId, attempt } = entry.attempt;
      entry.settle(stale.size > 0 && stale.has(fenceOf(jobId, attempt)));
    }
  }

  async #staleOf(
    group: readonly Entry[],
    unmatched: readonly AttemptKey[],
  ): Promise<ReadonlySet<string>> {
    if (unmatched.length === 0) return NONE;
    const outcomes = new Map(group.map((entry) => [entry.attempt.jobId, outcomeOf(entry)]));
    const recorded = await this.#recorded(
      unmatched.map((key) => ({ ...key, outcome: outcomes.get(key.id) ?? "lost" })),
    );
    return new Set(unmatched.map((key) => fenceOf(key.id, key.attempt))).difference(recorded);
  }

  /** The fences of those outcomes that stand in the books already. */
  async #recorded(told: readonly RecordedAttempt[]): Promise<ReadonlySet<string>> {
    if (told.length === 0) return NONE;
    const { db, onError } = this.#options;
    const rows = await persistently(db, () => attemptRecorded(db, told), onError);
    return new Set(rows.map((row) => fenceOf(row.id, row.attempt)));
  }

  async #succeed(group: readonly Entry[]): Promise<readonly AttemptKey[]> {
    const attempts = group.flatMap((entry) => (entry.kind === "succeed" ? [entry.attempt] : []));
    const unmatched = await jobSucceed(this.#options.db, attempts);
    this.#options.onChanged(attempts.map((attempt) => attempt.jobId));
    return unmatched;
  }

  async #finish(group: readonly Entry[]): Promise<readonly AttemptKey[]> {
    const attempts = group.flatMap((entry) => (entry.kind === "finish" ? [entry.attempt] : []));
    const unmatched = await jobFinish(this.#options.db, attempts);
    this.#options.onChanged(attempts.map((attempt) => attempt.jobId));
    return unmatched;
  }

  async #reschedule(group: readonly Entry[]): Promise<readonly AttemptKey[]> {
    const attempts = group.flatMap((entry) => (entry.kind === "reschedule" ? [entry.attempt] : []));
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
  async #finishUnstorable(entry: Entry, cause: unknown): Promise<void> {
    const { jobId, attempt, durationMs } = entry.attempt;
    const error: JobError = {
      code: "invalid_result",
      message: `The outcome could not be stored: ${cause instanceof Error ? cause.message : "data error"}`,
    };
    // An attempt that did not succeed has its failure counted already.
    const { failureCount, lostCount } =
      entry.kind === "succeed" ? { ...entry, failureCount: entry.failureCount + 1 } : entry.attempt;
    const dead: Entry = {
      kind: "finish",
      settle: entry.settle,
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

/** So many payload characters weigh as much as one outcome. */
const BYTES_PER_WEIGHT = BATCH_BYTES_MAX / OUTCOME_BATCH_MAX;

/** A worker that repeats itself within one batch is answered as if it had said it once. */
function firstOfEachFence(entries: readonly Entry[]): readonly Entry[] {
  const byFence = new Map<string, Entry>();
  for (const entry of entries) {
    const fence = fenceOf(entry.attempt.jobId, entry.attempt.attempt);
    const first = byFence.get(fence);
    if (first === undefined) {
      byFence.set(fence, entry);
    } else {
      const settle = (isStale: boolean): void => {
        first.settle(isStale);
        entry.settle(isStale);
      };
      byFence.set(fence, { ...first, settle });
    }
  }
  return byFence.size === entries.length ? entries : [...byFence.values()];
}

function outcomeOf(entry: Entry): Outcome {
  return entry.kind === "succeed" ? "succeeded" : entry.attempt.outcome;
}

function endedOf(held: HeldAttempt, { lanes, now }: OutcomesOptions): EndedAttempt {
  return {
    attempt: held.attempt,
    failureCount: held.failureCount,
    lostCount: held.lostCount,
    maxAttempts: held.maxAttempts,
    isCancelRequested: held.isCancelRequested,
    deadlineInMs: held.deadlineAtMs === undefined ? undefined : held.deadlineAtMs - now(),
    retry: retryOf(held.options, held.lane, lanes),
  };
}

/** The job's own policy, else its task's, else the defaults. */
function retryOf(
  options: JobOptions | null | undefined,
  lane: Lane | undefined,
  lanes: Lanes,
): RetryPolicy {
  return options?.retry ?? (lane && lanes.task(lane.task)?.retry) ?? {};
}
