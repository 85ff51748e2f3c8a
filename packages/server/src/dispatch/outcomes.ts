/** The way out: decides what follows from each outcome. */
import type { JobOptions } from "../domain/check-spec.ts";
import { fenceOf, type AttemptRef } from "../domain/job.ts";
import { decideOutcome, type EndedAttempt, type ReportedOutcome } from "../domain/outcome.ts";
import type { RetryPolicy } from "../domain/retry.ts";
import { endedAttempt } from "../operations/end-attempts.ts";
import { jobRunning } from "../store/job-lease.ts";
import type { Lane } from "./lane.ts";
import type { Lanes } from "./lanes.ts";
import {
  OutcomeWriter,
  type Ending,
  type EndingOwner,
  type OutcomeWriterOptions,
} from "./outcome-writer.ts";
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
    const nowMs = this.#options.now();
    const unknown: AttemptOutcome[] = [];
    const report = new Report(session);
    for (const outcome of outcomes) {
      const held = session.find(outcome.jobId, outcome.attempt);
      if (held === undefined) {
        unknown.push(outcome);
        continue;
      }
      this.#letGo(session, held, nowMs);
      report.expect();
      this.#book(held, outcome, report);
    }
    const stale = await report.stale();
    // Behind the others: what contradicts one of them finds it in the books.
    const refused = await this.#reportUnknown(session, unknown);
    return refused.length === 0 ? stale : [...stale, ...refused];
  }

  /** Ends an attempt in its worker's place. */
  end(session: WorkerSession, held: HeldAttempt, reported: ReportedOutcome): void {
    this.#letGo(session, held, this.#options.now());
    const { jobId, attempt } = held;
    this.#book(
      held,
      { jobId, attempt, ...reported },
      {
        settle: () => session.ending.delete(held),
        fail: (_ending, error) => {
          session.ending.delete(held);
          this.#options.onError(error);
        },
      },
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

  #letGo(session: WorkerSession, held: HeldAttempt, nowMs: number): void {
    session.ending.add(held);
    const started = session.letGo(held, nowMs);
    if (started !== undefined) this.#options.onStarted(session, started);
  }

  /** Has the end of an attempt written. @param known as its session holds it, or as its row says */
  #book(known: HeldAttempt | EndedAttempt, outcome: AttemptOutcome, owner: EndingOwner): void {
    const { jobId, attempt, result, durationMs } = outcome;
    const isHeld = "heardAtMs" in known;
    const held = isHeld ? known : undefined;
    if (outcome.kind === "succeeded") {
      // Nothing depends on what came before: whatever succeeds is over.
      this.#writer.add({
        kind: "succeed",
        owner,
        held,
        jobId,
        attempt,
        result,
        durationMs: durationMs ?? 0,
        failureCount: known.failureCount,
        lostCount: known.lostCount,
      });
      return;
    }
    const ended = isHeld ? endedOf(known, this.#options) : known;
    const decision = decideOutcome(ended, outcome, this.#options.random());
    this.#writer.add({ owner, held, jobId, attempt, durationMs, ...decision });
  }

  /** Outcomes of attempts that this session does not hold: repeats, late ones, or made up. */
  async #reportUnknown(
    session: WorkerSession,
    outcomes: readonly AttemptOutcome[],
  ): Promise<readonly AttemptRef[]> {
    if (outcomes.length === 0) return NONE;
    const { db, lanes } = this.#options;
    const fences = outcomes.map(({ jobId, attempt }) => ({ id: jobId, attempt }));
    const rows = await patiently(db, () => jobRunning(db, fences));
    await patiently(db, () => lanes.resolve([...new Set(rows.map((row) => row.lane_id))]));
    const running = new Map(rows.map((row) => [fenceOf(row.id, row.attempt), row]));
    const foreign: AttemptOutcome[] = [];
    const ended: AttemptOutcome[] = [];
    const report = new Report(session);
    for (const outcome of outcomes) {
      const row = running.get(fenceOf(outcome.jobId, outcome.attempt));
      if (row === undefined) {
        ended.push(outcome);
      } else if (row.worker_id !== session.id) {
        foreign.push(outcome);
      } else {
        const attempt = endedAttempt(row, retryOf(row.options, lanes.byId(row.lane_id), lanes));
        report.expect();
        this.#book(attempt, outcome, report);
      }
    }
    const stale = await report.stale();
    const recorded = await this.#writer.recorded(
      ended.map(({ jobId, attempt, kind }) => ({ id: jobId, attempt, outcome: kind })),
    );
    const refused = ended.filter(({ jobId, attempt }) => !recorded.has(fenceOf(jobId, attempt)));
    return [...stale, ...foreign, ...refused].map(({ jobId, attempt }) => ({ jobId, attempt }));
  }
}

const NONE: readonly AttemptRef[] = [];

/** What a worker reported in one go, while it is written. */
class Report implements EndingOwner {
  readonly #session: WorkerSession;
  readonly #stale: AttemptRef[] = [];
  readonly #written = Promise.withResolvers<void>();
  /** Endings that are not written, and one for who may add more. */
  #openCount = 1;

  constructor(session: WorkerSession) {
    this.#session = session;
    // Who reports hears of a failure by `stale()`, unless it failed itself before.
    this.#written.promise.catch(() => undefined);
  }

  /** Counts one more ending as its own. */
  expect(): void {
    this.#openCount += 1;
  }

  settle({ held, jobId, attempt }: Ending, isStale: boolean): void {
    if (held !== undefined) this.#session.ending.delete(held);
    if (isStale) this.#stale.push({ jobId, attempt });
    this.#close();
  }

  fail({ held }: Ending, error: unknown): void {
    if (held !== undefined) this.#session.ending.delete(held);
    this.#written.reject(error);
  }

  /** Resolves when all that was expected is written, with what was refused; fails when one failed. */
  async stale(): Promise<readonly AttemptRef[]> {
    this.#close();
    await this.#written.promise;
    return this.#stale;
  }

  #close(): void {
    this.#openCount -= 1;
    if (this.#openCount === 0) this.#written.resolve();
  }
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
