/** Leases ready jobs for groups of workers with free slots: one statement at a time for each group. */
import { setTimeout as sleep } from "node:timers/promises";

import { LEASE_BATCH_MAX, LEASE_LANES_MAX } from "../domain/limits.ts";
import { isConnectionError, type Database } from "../store/db.ts";
import { jobLease, laneReady } from "../store/job-lease.ts";
import type { Lane } from "./lane.ts";
import type { Lanes } from "./lanes.ts";
import { patiently } from "./patience.ts";
import type { WorkerGroup } from "./worker-group.ts";
import { toDelivery } from "./worker-session.ts";
import type { ReservedSlot, Workers } from "./workers.ts";

/** Behind a lease that the database refused. */
const ERROR_WAIT_MS = 500;

export interface LeaserOptions {
  readonly db: Database;
  readonly lanes: Lanes;
  readonly workers: Workers;
  readonly onLeased: (jobIds: readonly string[]) => void;
  readonly onError: (error: unknown) => void;
}

export class Leaser {
  readonly #options: LeaserOptions;
  readonly #woken = new Set<WorkerGroup>();
  #isScheduled = false;
  #isStopped = false;
  readonly #running = new Set<Promise<void>>();

  constructor(options: LeaserOptions) {
    this.#options = options;
  }

  /** Looks for jobs for a group, soon. Cheap to call often. */
  wake(group: WorkerGroup): void {
    if (this.#isStopped || group.isLeasing) return;
    this.#woken.add(group);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // After this turn of the event loop: several freed slots or new jobs make one statement.
    setImmediate(() => this.#run());
  }

  /** Looks for jobs for every group that can run one of these lanes, which may have ready jobs now. */
  wakeLanes(lanes: Iterable<Lane>): void {
    for (const lane of lanes) {
      lane.markBacklog();
      for (const group of this.#options.workers.groupsOf(lane)) this.wake(group);
    }
  }

  /** Finds lanes with ready jobs that nobody told this server of. */
  async pollOnce(): Promise<void> {
    const rows = await laneReady(this.#options.db);
    const lanes = await this.#options.lanes.resolve(rows.map((row) => row.lane_id));
    this.wakeLanes(lanes.filter((lane) => this.#options.workers.groupsOf(lane).length > 0));
  }

  /** Stops leasing and waits for the statements under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#woken.clear();
    await Promise.all(this.#running);
  }

  #run(): void {
    this.#isScheduled = false;
    const groups = [...this.#woken];
    this.#woken.clear();
    for (const group of groups) {
      if (group.isLeasing || this.#isStopped) continue;
      group.isLeasing = true;
      const running = this.#drain(group)
        .catch(async (error: unknown) => {
          this.#options.onError(error);
          // What the database refuses now it refuses again at once.
          await sleep(ERROR_WAIT_MS);
        })
        .finally(() => {
          group.isLeasing = false;
          this.#running.delete(running);
          // Woken in the moment between the last look and here.
          if (group.backlogCount > 0 && group.freeCount > 0) this.wake(group);
        });
      this.#running.add(running);
    }
  }

  async #drain(group: WorkerGroup): Promise<void> {
    while (!this.#isStopped && group.backlogCount > 0 && group.freeCount > 0) {
      if (!(await this.#leaseOnce(group))) return;
    }
  }

  /** @returns whether another pass makes sense */
  async #leaseOnce(group: WorkerGroup): Promise<boolean> {
    const { db, lanes, workers } = this.#options;
    const looked = group.lanesWithBacklog(LEASE_LANES_MAX);
    if (looked.length === 0) return false;
    const slots: ReservedSlot[] = group
      .reserve(LEASE_BATCH_MAX)
      .map((session) => ({ session, reconcileCount: session.reconcileCount }));
    if (slots.length === 0) return false;
    const wakeUps = looked.map((lane) => lane.wakeUps);
    let rows;
    try {
      rows = await jobLease(
        db,
        looked.map((lane) => lane.id),
        slots.map((slot) => slot.session.id),
      );
    } catch (error) {
      workers.unreserve(slots);
      if (!isConnectionError(error)) throw error;
      await patiently(() => laneReady(db), Number.POSITIVE_INFINITY);
      return true;
    }
    // Row n was leased for slot n.
    const jobs = rows.map((row) => {
      const lane = lanes.byId(row.lane_id);
      return lane === undefined ? undefined : toDelivery(row, lane);
    });
    workers.deliver(jobs, slots);
    this.#options.onLeased(rows.map((row) => row.id));
    if (rows.length < slots.length) {
      looked.forEach((lane, index) => lane.markEmpty(wakeUps[index] ?? -1));
    }
    return true;
  }
}
