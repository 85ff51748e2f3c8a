/** Leases ready jobs for groups of workers with free slots: one statement at a time for each group. */
import { setTimeout as sleep } from "node:timers/promises";

import { BATCH_BYTES_MAX, LEASE_BATCH_MAX, LEASE_LANES_MAX } from "../domain/limits.ts";
import { isConnectionError, type Database } from "../store/db.ts";
import {
  jobLease,
  LANE_HEAD,
  laneReady,
  laneShares,
  type LanePlace,
  type LaneShare,
  type LeaseRow,
} from "../store/job-lease.ts";
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
  readonly now: () => number;
  readonly onLeased: (jobIds: readonly string[]) => void;
  readonly onError: (error: unknown) => void;
}

export class Leaser {
  readonly #options: LeaserOptions;
  readonly #woken = new Set<WorkerGroup>();
  #isScheduled = false;
  #isStopped = false;
  /** Lanes that are looked at from their heads when these looks have rested. */
  readonly #restingHeads = new Map<Lane, NodeJS.Timeout>();
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
    for (const timer of this.#restingHeads.values()) clearTimeout(timer);
    this.#restingHeads.clear();
    await Promise.all(this.#running);
  }

  #run(): void {
    this.#isScheduled = false;
    const groups = [...this.#woken];
    this.#woken.clear();
    for (const group of groups) {
      if (group.isLeasing || this.#isStopped) continue;
      group.isLeasing = true;
      const running = this.#leaseUntilEmpty(group)
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

  async #leaseUntilEmpty(group: WorkerGroup): Promise<void> {
    while (!this.#isStopped && group.backlogCount > 0 && group.freeCount > 0) {
      if (!(await this.#leaseOnce(group))) return;
    }
  }

  /** @returns whether another pass makes sense */
  async #leaseOnce(group: WorkerGroup): Promise<boolean> {
    const { db, lanes, workers, now } = this.#options;
    const looked = group.lanesWithBacklog(LEASE_LANES_MAX);
    if (looked.length === 0) return false;
    const slots: ReservedSlot[] = group
      .reserve(LEASE_BATCH_MAX)
      .map((session) => ({ session, reconcileCount: session.reconcileCount }));
    if (slots.length === 0) return false;
    const wakeUps = looked.map((lane) => lane.wakeUps);
    const startMs = now();
    const looks = looked.map((lane) => ({
      laneId: lane.id,
      from: lane.leaseStart.next(startMs),
      most: slots.length,
    }));
    let shares;
    let rows;
    try {
      shares = await this.#shares(looks, slots.length);
      rows = await jobLease(
        db,
        shares,
        slots.map((slot) => slot.session.id),
        BATCH_BYTES_MAX,
      );
    } catch (error) {
      workers.unreserve(slots);
      if (!isConnectionError(error)) throw error;
      await patiently(db, () => laneReady(db), Number.POSITIVE_INFINITY);
      return true;
    }
    const byLane = Map.groupBy(rows, (row) => row.lane_id);
    this.#notePlaces(looks, byLane, now() - startMs);
    const jobs = inSlots(rows, slots).map((row) => {
      const lane = row && lanes.byId(row.lane_id);
      if (row === undefined || lane === undefined) return undefined;
      lane.countReady(-1);
      return toDelivery(row, lane);
    });
    workers.deliver(jobs, slots);
    this.#options.onLeased(rows.map((row) => row.id));
    // Whether the inputs of more would have been too much for one answer.
    const isCut = inputBytes(rows) >= BATCH_BYTES_MAX;
    if (rows.length < slots.length && !isCut) {
      const emptied = lanesEmptied(shares, byLane);
      looked.forEach((lane, index) => {
        if (!emptied.has(lane.id)) return;
        this.#foundTooFew(lane, looks[index]?.from ?? LANE_HEAD, wakeUps[index] ?? -1);
      });
    }
    return true;
  }

  /**
   * Takes a lane for empty that gave less than was wanted, or has it looked at from further back. Where a look from the head
   * is dear that comes later, and new jobs do not wait for it: else each of them would queue in a lane that is empty, and its
   * lease would add to what makes looks from the head dear.
   *
   * @param from where the look began
   * @param wakeUps of the lane, before it
   */
  #foundTooFew(lane: Lane, from: LanePlace, wakeUps: number): void {
    if (from === LANE_HEAD) return lane.markEmpty(wakeUps);
    const restMs = lane.leaseStart.foundTooFew(from, this.#options.now());
    if (restMs === 0) return;
    lane.markEmpty(wakeUps);
    if (this.#isStopped || this.#restingHeads.has(lane)) return;
    const timer = setTimeout(() => {
      this.#restingHeads.delete(lane);
      this.wakeLanes([lane]);
    }, Math.ceil(restMs));
    timer.unref();
    this.#restingHeads.set(lane, timer);
  }

  /** How much to take from which lane, so that the jobs that come first of all are leased. */
  async #shares(looks: readonly LaneShare[], slotCount: number): Promise<readonly LaneShare[]> {
    if (looks.length === 1) return looks;
    const rows = await laneShares(this.#options.db, looks, slotCount);
    const readyCount = rows.reduce((sum, row) => sum + row.count, 0);
    if (readyCount < slotCount) return looks;
    // Enough for every slot: nothing of the other lanes comes first.
    const counts = new Map(rows.map((row) => [row.lane_id, row.count]));
    return looks.flatMap((look) => {
      const most = counts.get(look.laneId);
      return most === undefined ? [] : [{ ...look, most }];
    });
  }

  #notePlaces(looks: readonly LaneShare[], byLane: RowsByLane, tookMs: number): void {
    const { lanes, now } = this.#options;
    for (const { laneId, from, most } of looks) {
      if (from !== LANE_HEAD) continue;
      const hasMore = leasedCount(byLane, laneId) >= most;
      lanes.byId(laneId)?.leaseStart.lookedFromHead(tookMs, now(), hasMore);
    }
    for (const [laneId, rows] of byLane) {
      const last = rows.at(-1);
      if (last !== undefined) {
        lanes.byId(laneId)?.leaseStart.leased(last.priority, last.queue_position, now());
      }
    }
  }
}

/** For each slot a row that was leased for its worker, as far as there are. */
function inSlots(
  rows: readonly LeaseRow[],
  slots: readonly ReservedSlot[],
): readonly (LeaseRow | undefined)[] {
  const byWorker = Map.groupBy(rows, (row) => row.worker_id);
  const leftOf = new Map(Array.from(byWorker, ([workerId, own]) => [workerId, own.values()]));
  return slots.map(({ session }) => leftOf.get(session.id)?.next().value);
}

type RowsByLane = ReadonlyMap<number, readonly LeaseRow[]>;

function leasedCount(byLane: RowsByLane, laneId: number): number {
  return byLane.get(laneId)?.length ?? 0;
}

function inputBytes(rows: readonly LeaseRow[]): number {
  return rows.reduce((sum, row) => sum + Buffer.byteLength(row.input), 0);
}

/** The lanes that gave less than their share. */
function lanesEmptied(shares: readonly LaneShare[], byLane: RowsByLane): ReadonlySet<number> {
  return new Set(
    shares
      .filter(({ laneId, most }) => leasedCount(byLane, laneId) < most)
      .map(({ laneId }) => laneId),
  );
}
