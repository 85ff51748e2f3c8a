/** The workers connected to this server, their groups, and the way jobs are delivered to them. */
import { fenceOf, type AttemptRef } from "../domain/job.ts";
import type { Database } from "../store/db.ts";
import { DELIVERY_MS_MAX } from "../domain/limits.ts";
import { jobHeldBy, jobHeldCounts, jobInputs } from "../store/job-lease.ts";
import { workerHolding } from "../store/worker.ts";
import type { Lane } from "./lane.ts";
import type { Lanes } from "./lanes.ts";
import { partsOf } from "./message-parts.ts";
import { patiently } from "./patience.ts";
import { WorkerGroup } from "./worker-group.ts";
import {
  toAssignment,
  type Assignment,
  type HeldAttempt,
  type JobDelivery,
  type WorkerSession,
} from "./worker-session.ts";

export interface WorkersOptions {
  readonly db: Database;
  readonly lanes: () => Lanes;
  /** Called when a group has free slots, and maybe jobs to lease for them. */
  readonly onFree: (group: WorkerGroup) => void;
  /** Called for each attempt that a worker holds from now on, or that can have started from now on. */
  readonly onHeld: (session: WorkerSession, held: HeldAttempt) => void;
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
}

/** A slot that was promised to a job before the statement that leases it. */
export interface ReservedSlot {
  readonly session: WorkerSession;
  readonly reconcileCount: number;
}

export class Workers {
  readonly #options: WorkersOptions;
  readonly #byId = new Map<number, WorkerSession>();
  readonly #groups = new Map<string, WorkerGroup>();
  readonly #groupOf = new Map<WorkerSession, WorkerGroup>();
  readonly #groupsOf = new Map<Lane, WorkerGroup[]>();
  readonly #reconciling = new Set<WorkerSession>();
  readonly #reconcileAgain = new Set<WorkerSession>();

  constructor(options: WorkersOptions) {
    this.#options = options;
  }

  all(): IterableIterator<WorkerSession> {
    return this.#byId.values();
  }

  get count(): number {
    return this.#byId.size;
  }

  groups(): IterableIterator<WorkerGroup> {
    return this.#groups.values();
  }

  byId(id: number): WorkerSession | undefined {
    return this.#byId.get(id);
  }

  /** Groups of connected workers that can run a lane. */
  groupsOf(lane: Lane): readonly WorkerGroup[] {
    return this.#groupsOf.get(lane) ?? NO_GROUPS;
  }

  /** Tells the groups of a lane that became known. */
  addLane(lane: Lane): void {
    for (const group of this.#groups.values()) {
      if (group.canRun(lane)) this.#link(group, lane);
    }
  }

  /**
   * Takes a worker in: holds what it holds by right, then delivers what the table says it holds but it never got.
   *
   * @param presented what the worker says it holds
   * @param welcome called with those of them that are not its own, before any job is delivered
   */
  async join(
    session: WorkerSession,
    tasks: readonly string[],
    queues: readonly string[],
    presented: readonly AttemptRef[],
    welcome: (stale: readonly AttemptRef[]) => void,
  ): Promise<void> {
    const before = this.#byId.get(session.id);
    if (before !== undefined) this.leave(before);
    this.#byId.set(session.id, session);
    const group = this.#group(tasks, queues);
    session.group = group;
    this.#groupOf.set(session, group);
    group.workers.push(session);

    const jobs = await this.#assignments(session);
    const has = new Set(presented.map((ref) => fenceOf(ref.jobId, ref.attempt)));
    const own = new Set(jobs.map((job) => fenceOf(job.id, job.attempt)));
    for (const job of jobs) {
      if (has.has(fenceOf(job.id, job.attempt))) this.#hold(session, job);
    }
    welcome(presented.filter((ref) => !own.has(fenceOf(ref.jobId, ref.attempt))));
    await this.#deliverMissing(session, jobs);
    session.isReady = true;
    group.recount();
    if (this.#reconcileAgain.delete(session)) this.reconcile(session.id);
  }

  /** Forgets a worker whose stream is over. The table still says what it holds. */
  leave(session: WorkerSession): void {
    if (session.isClosed) return;
    session.isClosed = true;
    this.#reconcileAgain.delete(session);
    if (this.#byId.get(session.id) === session) this.#byId.delete(session.id);
    const group = this.#groupOf.get(session);
    if (group === undefined) return;
    this.#groupOf.delete(session);
    group.workers.splice(group.workers.indexOf(session), 1);
    group.recount();
    if (group.workers.length === 0) this.#dropGroup(group);
  }

  /** Promises a free slot for a lane to a job that is about to be inserted, when nothing waits before it. */
  reserveFor(lane: Lane): ReservedSlot | undefined {
    if (lane.hasBacklog) return undefined;
    for (const group of this.groupsOf(lane)) {
      if (group.backlogCount > 0) continue;
      const session = group.pick();
      if (session === undefined) continue;
      session.reserve();
      return { session, reconcileCount: session.reconcileCount };
    }
    return undefined;
  }

  /**
   * Delivers jobs that were leased for reserved slots, and takes the promises back.
   *
   * @param slots in the order of `jobs`
   */
  deliver(
    jobs: readonly (JobDelivery | undefined)[],
    slots: readonly (ReservedSlot | undefined)[],
  ): void {
    const bySession = new Map<WorkerSession, JobDelivery[]>();
    slots.forEach((slot, index) => {
      if (slot === undefined) return;
      const { session } = slot;
      session.release();
      const job = jobs[index];
      if (job === undefined) return;
      if (session.isClosed || !session.isReady || slot.reconcileCount !== session.reconcileCount) {
        // The worker reconnected or was reconciled meanwhile: the table knows what it should have.
        this.reconcile(session.id);
        return;
      }
      this.#hold(session, job);
      const delivered = bySession.get(session);
      if (delivered === undefined) bySession.set(session, [job]);
      else delivered.push(job);
    });
    for (const [session, delivered] of bySession) {
      session.sink.jobs(delivered);
      if (session.sink.isFull) session.group?.recount();
    }
  }

  /** Takes promises back whose statement failed; what it may have leased all the same is found and delivered. */
  unreserve(slots: readonly (ReservedSlot | undefined)[]): void {
    const ids = new Set<number>();
    for (const slot of slots) {
      if (slot === undefined) continue;
      slot.session.release();
      ids.add(slot.session.id);
    }
    for (const id of ids) this.reconcile(id);
  }

  /** Delivers what the table says that a worker holds but it was never given. Meanwhile it gets nothing else. */
  reconcile(workerId: number): void {
    const session = this.#byId.get(workerId);
    if (session === undefined) return;
    if (this.#reconciling.has(session) || !session.isReady) {
      this.#reconcileAgain.add(session);
      return;
    }
    this.#reconciling.add(session);
    session.isReady = false;
    session.reconcileCount += 1;
    session.group?.recount();
    session.ending.beginReading();
    this.#reconcileOnce(session)
      .catch(this.#options.onError)
      .finally(() => {
        session.ending.endReading();
        session.isReady = !session.isClosed;
        session.group?.recount();
        this.#reconciling.delete(session);
        if (this.#reconcileAgain.delete(session)) this.reconcile(session.id);
      });
  }

  /**
   * Looks for jobs that a worker here holds by the table, but was never given. That happens when it came here while a
   * statement of its former server was under way, which leased a job for it that nobody is there to deliver.
   */
  async pollOnce(): Promise<void> {
    // Counted before the table is: what stands there for longer than DELIVERY_MS_MAX was held then.
    const heldCounts = new Map(
      [...this.all()].map(({ id, held, ending }) => [id, held.size + ending.size]),
    );
    if (heldCounts.size === 0) return;
    // Of a thousand workers that are idle, none is asked for.
    const holding = (await workerHolding(this.#options.db))
      .map((row) => row.worker_id)
      .filter((id) => heldCounts.has(id));
    if (holding.length === 0) return;
    const rows = await jobHeldCounts(this.#options.db, holding, DELIVERY_MS_MAX);
    for (const row of rows) {
      if (row.count > (heldCounts.get(row.worker_id) ?? 0)) this.reconcile(row.worker_id);
    }
  }

  async #reconcileOnce(session: WorkerSession): Promise<void> {
    await this.#deliverMissing(session, await this.#assignments(session));
  }

  /** What the table says that a worker holds. */
  async #assignments(session: WorkerSession): Promise<readonly SizedAssignment[]> {
    const { db } = this.#options;
    const rows = await patiently(db, () => jobHeldBy(db, session.id), Number.POSITIVE_INFINITY);
    const laneIds = [...new Set(rows.map((row) => row.lane_id))];
    const lanes = await this.#options.lanes().resolve(laneIds);
    const byId = new Map(lanes.map((lane) => [lane.id, lane]));
    return rows.flatMap((row) => {
      const lane = byId.get(row.lane_id);
      return lane === undefined
        ? []
        : [{ ...toAssignment(row, lane), inputBytes: row.input_bytes }];
    });
  }

  /** Delivers what of this was never given to the worker, reading inputs in parts of bounded size. */
  async #deliverMissing(session: WorkerSession, jobs: readonly SizedAssignment[]): Promise<void> {
    const ending = session.ending.fences();
    const missing = jobs.filter(
      ({ id: jobId, attempt }) =>
        session.find(jobId, attempt) === undefined && !ending.has(fenceOf(jobId, attempt)),
    );
    for (const part of partsOf(missing, (job) => job.inputBytes)) {
      const inputs = await this.#inputs(part);
      if (session.isClosed) return;
      // One without an input has ended meanwhile.
      const delivered = part.flatMap((job) => {
        const input = inputs.get(job.id);
        return input === undefined ? [] : [{ ...job, input }];
      });
      for (const job of delivered) this.#hold(session, job);
      if (delivered.length > 0) session.sink.jobs(delivered);
    }
  }

  async #inputs(jobs: readonly Assignment[]): Promise<ReadonlyMap<string, string>> {
    const { db } = this.#options;
    const rows = await patiently(db, () => jobInputs(db, jobs), Number.POSITIVE_INFINITY);
    return new Map(rows.map((row) => [row.id, row.input]));
  }

  #hold(session: WorkerSession, job: Assignment): void {
    const held = session.hold(job, this.#options.now());
    this.#options.onHeld(session, held);
  }

  #group(tasks: readonly string[], queues: readonly string[]): WorkerGroup {
    const key = JSON.stringify([[...new Set(tasks)].sort(), [...new Set(queues)].sort()]);
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const group = new WorkerGroup(key, tasks, queues, this.#options.onFree);
    this.#groups.set(key, group);
    for (const lane of this.#options.lanes().all()) {
      if (group.canRun(lane)) this.#link(group, lane);
    }
    return group;
  }

  #dropGroup(group: WorkerGroup): void {
    this.#groups.delete(group.key);
    for (const lane of group.lanes) {
      lane.counters.delete(group);
      this.#groupsOf.set(
        lane,
        this.groupsOf(lane).filter((other) => other !== group),
      );
    }
  }

  #link(group: WorkerGroup, lane: Lane): void {
    group.addLane(lane);
    this.#groupsOf.set(lane, [...this.groupsOf(lane), group]);
  }
}

interface SizedAssignment extends Assignment {
  readonly inputBytes: number;
}

const NO_GROUPS: readonly WorkerGroup[] = [];
