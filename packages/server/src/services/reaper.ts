/** Takes back what lost workers held, and ends what waited too long. Safe on every server at the same time. */
import { REAP_INTERVAL_MS, SWEEP_BATCH_MAX, WORKER_LEASE_MS_MIN } from "../domain/limits.ts";
import { expireJobs, reapGoneWorker, reapWorker, type ReapReport } from "../operations/sweep.ts";
import type { Database } from "../store/db.ts";
import { jobOverdue, overdueFind } from "../store/overdue.ts";
import { serverBury } from "../store/server.ts";
import { workerGoneHolding } from "../store/worker.ts";

/**
 * A server that did not renew for so long is declared dead; its workers reconnect elsewhere. Shorter than a worker's
 * default lease, so that the lease, not this, decides when their jobs run again.
 */
const SERVER_DEAD_MS = 5_000;

/**
 * How long a look is good for that found nobody who could be lost: what changes right after it takes the shortest lease, and
 * is found by the second look from now.
 */
const REST_MS = WORKER_LEASE_MS_MIN - REAP_INTERVAL_MS;

/** Lost workers handled by one pass. */
const WORKERS_PER_PASS = 1_000;

export interface ReapOptions {
  readonly db: Database;
  readonly serverId: number;
  readonly onQueued: (laneIds: readonly number[]) => Promise<void>;
  readonly onChanged: (jobIds: readonly string[]) => void;
  readonly onLost: (
    worker: { readonly id: number; readonly name: string },
    jobCount: number,
  ) => void;
}

/** Takes back what lost workers held. */
export class Reaper {
  readonly #options: () => ReapOptions;
  readonly #now: () => number;
  #restsUntilMs = Number.NEGATIVE_INFINITY;
  #wakeCount = 0;

  /** @param options asked for at each pass, as a server that was declared dead gets another id */
  constructor(options: () => ReapOptions, now: () => number) {
    this.#options = options;
    this.#now = now;
  }

  /** Ends a rest: the lease of a worker that has just lost its connection may be over already. */
  wake(): void {
    this.#wakeCount += 1;
    this.#restsUntilMs = Number.NEGATIVE_INFINITY;
  }

  /** One pass, unless nobody can be lost yet. @returns how many workers were lost */
  async passOnce(): Promise<number> {
    const startMs = this.#now();
    if (startMs < this.#restsUntilMs) return 0;
    const wakeCount = this.#wakeCount;
    const options = this.#options();
    const { db, serverId } = options;
    // Nearly always there is nothing to do, and this one statement is all that a pass costs.
    const [overdue] = await overdueFind(db, serverId, SERVER_DEAD_MS);
    if (overdue === undefined) return 0;
    if (!overdue.has_candidates && wakeCount === this.#wakeCount) {
      this.#restsUntilMs = startMs + REST_MS;
    }
    if (overdue.has_dead_server) await serverBury(db, serverId, SERVER_DEAD_MS);
    // The lease of a dead server's workers may have passed long ago.
    return overdue.has_dead_server || overdue.has_lost_worker ? reapLost(options) : 0;
  }
}

/**
 * Ends jobs that wait past their queue timeout or deadline. Reads the index of those from its head, which is slow while
 * somebody holds a snapshot. @returns how many
 */
export async function expireOnce(options: ReapOptions): Promise<number> {
  const [overdue] = await jobOverdue(options.db);
  return overdue?.has_expired ? expireAll(options) : 0;
}

/**
 * Takes back what workers hold that were gone before: statements that were under way when they went leased it. Reads all
 * batches of leases, which is slow while somebody holds a snapshot.
 */
export async function reapGoneOnce(options: ReapOptions): Promise<void> {
  if ((await workerGoneHolding(options.db, 1)).length === 0) return;
  for (let passed = 0; passed < WORKERS_PER_PASS; passed += 1) {
    const report = await reapGoneWorker(options.db);
    if (report.workers.length === 0) return;
    await tell(report, options);
  }
}

async function reapLost(options: ReapOptions): Promise<number> {
  let lostCount = 0;
  for (; lostCount < WORKERS_PER_PASS; lostCount += 1) {
    const report = await reapWorker(options.db);
    const [worker] = report.workers;
    if (worker === undefined) break;
    options.onLost(worker, report.jobIds.length);
    await tell(report, options);
  }
  return lostCount;
}

async function expireAll(options: ReapOptions): Promise<number> {
  for (let expiredCount = 0; ;) {
    const ids = await expireJobs(options.db, SWEEP_BATCH_MAX);
    expiredCount += ids.length;
    options.onChanged(ids);
    if (ids.length < SWEEP_BATCH_MAX) return expiredCount;
  }
}

async function tell(report: ReapReport, options: ReapOptions): Promise<void> {
  if (report.requeuedLaneIds.length > 0) await options.onQueued(report.requeuedLaneIds);
  options.onChanged(report.jobIds);
}
