/**
 * What jobs do, in memory and without SQL: what the tables are compared with. Written from docs/concepts.md, not from the
 * statements. Instants are milliseconds since 1970.
 */
import type { JobState, Outcome } from "../../src/domain/job.ts";
import { LOST_ATTEMPTS_MAX } from "../../src/domain/limits.ts";

/** A job as a caller asks for it. */
export interface Wish {
  readonly id: string;
  readonly queue: number;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly delayMs: number | undefined;
  readonly queueTimeoutMs: number | undefined;
  readonly deadlineMs: number | undefined;
  readonly uniqueKey: string | undefined;
  /** The worker that has a slot ready for it. */
  readonly worker: number | undefined;
}

export interface KeyedWish extends Wish {
  readonly idempotency: { readonly key: string; readonly fingerprint: string } | undefined;
  readonly onConflict: "return_existing" | "reject";
}

export interface ModelJob {
  readonly id: string;
  readonly queue: number;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly uniqueKey: string | undefined;
  state: JobState;
  attempt: number;
  failureCount: number;
  lostCount: number;
  /** Order within a priority. */
  position: number;
  runAt: number | undefined;
  startBy: number | undefined;
  finishBy: number | undefined;
  worker: number | undefined;
  isCancelRequested: boolean;
}

export interface ModelWorker {
  connection: number;
  detachedAt: number | undefined;
  isGone: boolean;
}

export type KeyedAnswer =
  | { readonly kind: "accepted"; readonly state: JobState }
  | { readonly kind: "duplicate"; readonly jobId: string; readonly state: JobState }
  | { readonly kind: "idempotency_conflict" | "unique_conflict"; readonly jobId: string };

const isLive = (job: ModelJob): boolean =>
  job.state === "scheduled" || job.state === "queued" || job.state === "running";
const byId = (a: ModelJob, b: ModelJob): number => (a.id < b.id ? -1 : 1);

export class JobModel {
  nowMs: number;
  readonly leaseMs: number;
  readonly jobs = new Map<string, ModelJob>();
  /** How attempts ended, by `id attempt`. */
  readonly recorded = new Map<string, Outcome>();
  readonly paused = new Set<number>();
  readonly workers: readonly ModelWorker[];
  readonly #keys = new Map<string, { fingerprint: string; jobId: string; expiresAt: number }>();
  #lastPosition = 0;

  constructor(nowMs: number, leaseMs: number, workerCount: number) {
    this.nowMs = nowMs;
    this.leaseMs = leaseMs;
    this.workers = Array.from({ length: workerCount }, () => ({
      connection: 1,
      detachedAt: undefined,
      isGone: false,
    }));
  }

  /** Jobs in these states, by id. */
  in(...states: readonly JobState[]): readonly ModelJob[] {
    return [...this.jobs.values()].filter((job) => states.includes(job.state)).sort(byId);
  }

  /** Ready jobs of some queues in the order in which they are leased. */
  ready(queues: readonly number[]): readonly ModelJob[] {
    return this.in("queued")
      .filter((job) => queues.includes(job.queue))
      .sort((a, b) => b.priority - a.priority || a.position - b.position);
  }

  submit(wish: Wish): ModelJob {
    const { id, queue, priority, maxAttempts, uniqueKey } = wish;
    const runAt = this.nowMs + (wish.delayMs ?? 0);
    let state: JobState = "queued";
    if (runAt > this.nowMs) state = "scheduled";
    else if (wish.worker !== undefined && !this.paused.has(queue)) state = "running";
    const isRunning = state === "running";
    const after = (from: number, ms: number | undefined): number | undefined =>
      ms === undefined ? undefined : from + ms;
    const job: ModelJob = {
      id,
      queue,
      priority,
      maxAttempts,
      uniqueKey,
      state,
      attempt: isRunning ? 1 : 0,
      failureCount: 0,
      lostCount: 0,
      position: this.#nextPosition(),
      runAt: state === "scheduled" ? runAt : undefined,
      startBy: isRunning ? undefined : after(runAt, wish.queueTimeoutMs),
      finishBy: after(this.nowMs, wish.deadlineMs),
      worker: isRunning ? wish.worker : undefined,
      isCancelRequested: false,
    };
    this.jobs.set(id, job);
    return job;
  }

  /** Accepts or refuses each; with `isAllOrNone`, nothing of it happens when one is refused. */
  submitKeyed(
    wishes: readonly KeyedWish[],
    keepMs: number,
    isAllOrNone: boolean,
  ): readonly KeyedAnswer[] {
    const accepted: KeyedWish[] = [];
    const answers = wishes.map((wish): KeyedAnswer | undefined => {
      const answer = this.#conflictOf(wish);
      if (answer === undefined) accepted.push(wish);
      return answer;
    });
    const isRefused = answers.some((answer) => answer?.kind.endsWith("conflict"));
    // The answers say how it would have gone.
    const kept = isAllOrNone && isRefused ? this.#copy() : this;
    for (const wish of accepted) {
      kept.submit(wish);
      if (wish.idempotency !== undefined) {
        const expiresAt = this.nowMs + keepMs;
        kept.#keys.set(wish.idempotency.key, {
          fingerprint: wish.idempotency.fingerprint,
          jobId: wish.id,
          expiresAt,
        });
      }
    }
    return answers.map(
      (answer, index) =>
        answer ?? {
          kind: "accepted",
          state: kept.jobs.get(wishes[index]?.id ?? "")?.state ?? "waiting",
        },
    );
  }

  lease(queues: readonly number[], workers: readonly number[]): readonly ModelJob[] {
    const open = queues.filter((queue) => !this.paused.has(queue));
    const leased = this.ready(open).slice(0, workers.length);
    leased.forEach((job, index) => {
      job.state = "running";
      job.attempt += 1;
      job.worker = workers[index];
      job.startBy = undefined;
    });
    return leased;
  }

  /**
   * Ends a running attempt.
   *
   * @param knowsOfCancel false: it was decided before somebody asked to cancel
   */
  end(job: ModelJob, outcome: Outcome, delayMs: number, knowsOfCancel = true): void {
    this.recorded.set(`${job.id} ${job.attempt}`, outcome);
    job.worker = undefined;
    const isFailure = outcome === "retry" || outcome === "timed_out" || outcome === "failed";
    if (isFailure) job.failureCount += 1;
    if (outcome === "lost") job.lostCount += 1;
    const gaveUp: JobState = job.isCancelRequested && knowsOfCancel ? "cancelled" : "dead";
    const isOver = job.finishBy !== undefined && this.nowMs + delayMs >= job.finishBy;
    if (outcome === "succeeded" || outcome === "cancelled") job.state = outcome;
    else if (outcome === "failed" || (isFailure && job.failureCount >= job.maxAttempts))
      job.state = gaveUp;
    else if (outcome === "lost" && job.lostCount >= LOST_ATTEMPTS_MAX) job.state = "dead";
    else if (job.isCancelRequested && knowsOfCancel) job.state = "cancelled";
    else if (isOver) job.state = "dead";
    else if (job.isCancelRequested) job.state = "cancelled";
    else {
      job.state = delayMs > 0 ? "scheduled" : "queued";
      job.runAt = delayMs > 0 ? this.nowMs + delayMs : undefined;
    }
  }

  /** @returns whether its worker must be told */
  cancel(job: ModelJob): boolean {
    if (job.state === "running") {
      job.isCancelRequested = true;
      return true;
    }
    job.state = "cancelled";
    return false;
  }

  redrive(job: ModelJob): void {
    job.state = "queued";
    job.failureCount = 0;
    job.lostCount = 0;
    job.finishBy = undefined;
    job.startBy = undefined;
    job.runAt = undefined;
    job.isCancelRequested = false;
    job.position = this.#nextPosition();
  }

  /** Dead jobs whose unique key is free, the oldest of each key. */
  redrivable(): readonly ModelJob[] {
    const taken = new Set<string>();
    return this.in("dead").filter(({ uniqueKey }) => {
      if (uniqueKey === undefined) return true;
      if (taken.has(uniqueKey) || this.holderOf(uniqueKey) !== undefined) return false;
      taken.add(uniqueKey);
      return true;
    });
  }

  holderOf(uniqueKey: string): ModelJob | undefined {
    return [...this.jobs.values()].find((job) => isLive(job) && job.uniqueKey === uniqueKey);
  }

  /** Queues the jobs that are due, earliest first. */
  promote(limit: number): readonly ModelJob[] {
    const due = this.in("scheduled")
      .filter((job) => (job.runAt ?? Infinity) <= this.nowMs)
      .sort((a, b) => (a.runAt ?? 0) - (b.runAt ?? 0))
      .slice(0, limit);
    for (const job of due) {
      job.state = "queued";
      job.runAt = undefined;
      job.position = this.#nextPosition();
    }
    return due;
  }

  /** Ends the jobs that wait past their queue timeout or deadline. */
  expire(): readonly ModelJob[] {
    const expired = this.in("scheduled", "queued").filter(
      (job) => Math.min(job.startBy ?? Infinity, job.finishBy ?? Infinity) <= this.nowMs,
    );
    for (const job of expired) job.state = "dead";
    return expired;
  }

  /** The first worker whose lease is over. */
  lostWorker(): number | undefined {
    const index = this.workers.findIndex(
      (worker) =>
        !worker.isGone &&
        worker.detachedAt !== undefined &&
        worker.detachedAt + this.leaseMs < this.nowMs,
    );
    return index === -1 ? undefined : index;
  }

  /** The first worker that is gone and holds jobs all the same. */
  goneHolder(): number | undefined {
    const index = this.workers.findIndex(
      (worker, number) => worker.isGone && this.heldBy(number).length > 0,
    );
    return index === -1 ? undefined : index;
  }

  heldBy(worker: number): readonly ModelJob[] {
    return this.in("running").filter((job) => job.worker === worker);
  }

  #conflictOf({ idempotency, uniqueKey, onConflict }: KeyedWish): KeyedAnswer | undefined {
    const held = idempotency && this.#keys.get(idempotency.key);
    if (held !== undefined && held.expiresAt > this.nowMs) {
      const state = this.jobs.get(held.jobId)?.state ?? "waiting";
      return held.fingerprint === idempotency?.fingerprint
        ? { kind: "duplicate", jobId: held.jobId, state }
        : { kind: "idempotency_conflict", jobId: held.jobId };
    }
    const holder = uniqueKey === undefined ? undefined : this.holderOf(uniqueKey);
    // A key that expired goes to whoever asks next, also when a unique key then keeps its job out.
    if (holder !== undefined && idempotency !== undefined) this.#keys.delete(idempotency.key);
    if (holder === undefined) return undefined;
    return onConflict === "reject"
      ? { kind: "unique_conflict", jobId: holder.id }
      : { kind: "duplicate", jobId: holder.id, state: holder.state };
  }

  #copy(): JobModel {
    const copy = new JobModel(this.nowMs, this.leaseMs, this.workers.length);
    for (const queue of this.paused) copy.paused.add(queue);
    return copy;
  }

  #nextPosition(): number {
    this.#lastPosition += 1;
    return this.#lastPosition;
  }
}
