/** The way out: decides what follows from each outcome. */
import type { JobOptions } from "../domain/check-spec.ts";
import { fenceOf, type AttemptRef } from "../domain/job.ts";
import { decideOutcome, type EndedAttempt, type ReportedOutcome } from "../domain/outcome.ts";
import type { RetryPolicy } from "../domain/retry.ts";
import { endedAttempt } from "../operations/end-attempts.ts";
import { jobRunning } from "../store/job-lease.ts";
import type { Lane } from "./lane.ts";
import type { Lanes } from "./lanes.ts";
import { OutcomeWriter, type Ending, type OutcomeWriterOptions } from "./outcome-writer.ts";
import { patiently } from "./patience.ts";
import type { HeldAttempt, WorkerSession } from "./worker-session.ts";

/** An outcome as it came from a worker, or from the server in its place. */
export interface AttemptOutcome extends AttemptRef, ReportedOutcome {
  /** JSON text; only of succeeded attempts. */
  readonly result?: string | undefined;
  /** From the handler's start to its end; absent when it never started. */
  readonly durationMs?: number | undefined;
}

export interface OutcomesOptions extends OutcomeWriterOptions {
  /** Called for an attempt that can have started because another one ended. */
  readonly onStarted: (session: WorkerSession, held: HeldAttempt) => void;
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Who waits for an ending to be written. */
type Waiter = Pick<Ending, "settle" | "fail">;
/** The same, with the fence of the attempt that ends. */
type Waiting = Waiter & Pick<Ending, "fence">;

export class Outcomes {
  readonly #options: OutcomesOptions;
  readonly #writer: OutcomeWriter;

  constructor(options: OutcomesOptions) {
    this.#options = options;
    this.#writer = new OutcomeWriter(options);
  }

  /**
   * Books outcomes that a worker reported. Resolves when all of them are durable or refused.
   *
   * @returns the refused ones: the lease was another's, or the attempt had ended otherwise
   * @throws AppError unavailable when the server stops without its database
   */
  async report(
    session: WorkerSession,
    outcomes: readonly AttemptOutcome[],
  ): Promise<readonly AttemptRef[]> {
    const stale: AttemptRef[] = [];
    const unknown: AttemptOutcome[] = [];
    await allSettled((waiter) => {
      for (const outcome of outcomes) {
        const held = session.find(outcome.jobId, outcome.attempt);
        if (held === undefined) {
          unknown.push(outcome);
          continue;
        }
        const fence = this.#letGo(session, held);
        const { settle, fail } = waiter();
        this.#decide(endedOf(held, this.#options), outcome, {
          fence,
          settle: (isStale) => {
            session.ending.delete(fence);
            if (isStale) stale.push({ jobId: outcome.jobId, attempt: outcome.attempt });
            settle(isStale);
          },
          fail,
        });
      }
    });
    // Behind the others: what contradicts one of them finds it in the books.
    return stale.concat(await this.#reportUnknown(session, unknown));
  }

  /** Ends an attempt in its worker's place. */
  end(session: WorkerSession, held: HeldAttempt, reported: ReportedOutcome): void {
    const fence = this.#letGo(session, held);
    this.#decide(
      endedOf(held, this.#options),
      { ...held, ...reported },
      { fence, settle: () => session.ending.delete(fence), fail: this.#options.onError },
    );
  }

  /** Resolves when there is room for more outcomes; `undefined` when there is now. */
  room(): Promise<void> | undefined {
    return this.#writer.room();
  }

  /** Waits until everything reported is written. */
  idle(): Promise<void> {
    return this.#writer.idle();
  }

  /** @returns its fence */
  #letGo(session: WorkerSession, held: HeldAttempt): string {
    const fence = fenceOf(held.jobId, held.attempt);
    session.ending.add(fence);
    const started = session.letGo(held, this.#options.now());
    if (started !== undefined) this.#options.onStarted(session, started);
    return fence;
  }

  #decide(ended: EndedAttempt, outcome: AttemptOutcome, waiting: Waiting): void {
    const { jobId, attempt, durationMs, result } = outcome;
    const decision = decideOutcome(ended, outcome, this.#options.random());
    const ref = { jobId, attempt };
    if (decision.kind === "finish" && decision.state === "succeeded") {
      const { failureCount, lostCount } = decision;
      const succeeded = { ...ref, result, durationMs: durationMs ?? 0 };
      this.#writer.add({
        kind: "succeed",
        attempt: succeeded,
        failureCount,
        lostCount,
        ...waiting,
      });
    } else if (decision.kind === "finish") {
      const finished = { ...ref, durationMs, ...decision };
      this.#writer.add({ kind: "finish", attempt: finished, ...waiting });
    } else {
      const rescheduled = { ...ref, durationMs, ...decision };
      this.#writer.add({ kind: "reschedule", attempt: rescheduled, ...waiting });
    }
  }

  /** Outcomes of attempts that this session does not hold: repeats, late ones, or made up. */
  async #reportUnknown(
    session: WorkerSession,
    outcomes: readonly AttemptOutcome[],
  ): Promise<AttemptRef[]> {
    if (outcomes.length === 0) return [];
    const { db, lanes } = this.#options;
    const fences = outcomes.map(({ jobId, attempt }) => ({ id: jobId, attempt }));
    const rows = await patiently(db, () => jobRunning(db, fences));
    await patiently(db, () => lanes.resolve([...new Set(rows.map((row) => row.lane_id))]));
    const running = new Map(rows.map((row) => [fenceOf(row.id, row.attempt), row]));
    const refused: AttemptOutcome[] = [];
    const ended: AttemptOutcome[] = [];
    await allSettled((waiter) => {
      for (const outcome of outcomes) {
        const fence = fenceOf(outcome.jobId, outcome.attempt);
        const row = running.get(fence);
        if (row === undefined) {
          ended.push(outcome);
        } else if (row.worker_id !== session.id) {
          refused.push(outcome);
        } else {
          const attempt = endedAttempt(row, retryOf(row.options, lanes.byId(row.lane_id), lanes));
          const { settle, fail } = waiter();
          this.#decide(attempt, outcome, {
            fence,
            settle: (isStale) => {
              if (isStale) refused.push(outcome);
              settle(isStale);
            },
            fail,
          });
        }
      }
    });
    const recorded = await this.#writer.recorded(
      ended.map(({ jobId, attempt, kind }) => ({ id: jobId, attempt, outcome: kind })),
    );
    return refused
      .concat(ended.filter(({ jobId, attempt }) => !recorded.has(fenceOf(jobId, attempt))))
      .map(({ jobId, attempt }) => ({ jobId, attempt }));
  }
}

/** Runs `begin`, which asks for waiters, and resolves when all of them were settled; fails when one of them failed. */
function allSettled(begin: (waiter: () => Waiter) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    let open = 1;
    const settle = (): void => {
      open -= 1;
      if (open === 0) resolve();
    };
    begin(() => {
      open += 1;
      return { settle, fail: reject };
    });
    settle();
  });
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
