/** Where workers come in: books them, takes in what they hold, and books them out. */
import { heartbeatIntervalMs, idleHeartbeatIntervalMs } from "../domain/heartbeat.ts";
import type { AttemptRef } from "../domain/job.ts";
import { TASKS_MAX, WORKERS_PER_SERVER_MAX } from "../domain/limits.ts";
import { AppError } from "../errors.ts";
import { releaseWorker } from "../operations/sweep.ts";
import type { Database } from "../store/db.ts";
import { nameCounts, taskPut } from "../store/lane.ts";
import { workerAttach, workerDetach, workerDetachAbsent, workerDrain } from "../store/worker.ts";
import { DEFAULT_QUEUE, NAMESPACE_ID, type Lanes } from "./lanes.ts";
import type { Notes } from "./notes.ts";
import type { Outcomes } from "./outcomes.ts";
import { patiently } from "./patience.ts";
import type { Stops } from "./stops.ts";
import { WorkerSession, type WorkerSink } from "./worker-session.ts";
import {
  checkHello,
  leaseMsOf,
  remainingLeaseMs,
  WorkerConnection,
  type WorkerHello,
} from "./worker-connection.ts";
import type { Workers } from "./workers.ts";

export interface WorkerDoorOptions {
  readonly db: Database;
  readonly lanes: Lanes;
  readonly workers: Workers;
  readonly outcomes: Outcomes;
  readonly stops: Stops;
  readonly notes: Notes;
  readonly serverId: () => number;
  readonly renewedAgoMs: () => number;
  readonly onTasks: (names: readonly string[]) => void;
  /** Called with the jobs, and the lanes of those that are queued again, of a worker that took its leave. */
  readonly onReleased: (laneIds: readonly number[], jobIds: readonly string[]) => Promise<void>;
  /** Called when a worker was booked out that was silent for so long that its lease may be over. */
  readonly onSilent: () => void;
  readonly now: () => number;
}

/** What a worker learns when it is taken in. */
export interface WorkerWelcome {
  /** How long its lease lasts, in milliseconds, counted from when it sent its hello. */
  readonly leaseMs: number;
  readonly heartbeatIntervalMs: number;
  /** While it holds nothing. */
  readonly idleHeartbeatIntervalMs: number;
  /** Of what it presented: attempts that are not its own any more. */
  readonly stale: readonly AttemptRef[];
}

export class WorkerDoor {
  readonly #options: WorkerDoorOptions;
  #isClosed = false;
  /** The server has lost its lease: who is taken in now would be booked under a server that is dead. */
  #isSuspended = false;

  constructor(options: WorkerDoorOptions) {
    this.#options = options;
  }

  /**
   * Takes a worker in.
   *
   * @param onWelcome called once, before the first job goes down `sink`
   * @throws AppError invalid_argument, resource_exhausted, unavailable
   */
  async connect(
    hello: WorkerHello,
    sink: WorkerSink,
    onWelcome: (welcome: WorkerWelcome) => void,
  ): Promise<WorkerConnection> {
    checkHello(hello);
    const { db, lanes, workers, now } = this.#options;
    if (this.#isClosed)
      throw new AppError("unavailable", "The server is shutting down. Connect again.");
    if (this.#isSuspended) throw leaseLost();
    if (workers.count >= WORKERS_PER_SERVER_MAX) {
      throw new AppError(
        "resource_exhausted",
        `This server has ${WORKERS_PER_SERVER_MAX} workers already. Connect to another one.`,
      );
    }
    await this.#registerTasks(hello);
    const queues = hello.queues.length > 0 ? [...new Set(hello.queues)] : [DEFAULT_QUEUE];
    const tasks = [...new Set(hello.tasks.map((task) => task.name))];
    // Made now, so that the hot path finds them; lanes of many queues and tasks are made when they are first used.
    if (tasks.length * queues.length <= EAGER_LANES_MAX) {
      const names = queues.flatMap((queue) => tasks.map((task) => ({ queue, task })));
      await Promise.all(names.map(({ queue, task }) => lanes.ensure(queue, task)));
    }
    const leaseMs = leaseMsOf(hello);
    const { serverId } = this.#options;
    const bookedAt = serverId();
    const key = await patiently(db, () =>
      workerAttach(db, { ...hello, tasks, queues, serverId: bookedAt, leaseMs }),
    );
    const session = new WorkerSession({
      key,
      instance: hello.instance,
      name: hello.name,
      slots: hello.slots,
      prefetch: hello.prefetch,
      leaseMs,
      sink,
      nowMs: now(),
    });
    try {
      await workers.join(session, tasks, queues, hello.held, (stale) =>
        onWelcome({
          leaseMs: remainingLeaseMs(leaseMs, this.#options.renewedAgoMs()),
          heartbeatIntervalMs: heartbeatIntervalMs(leaseMs),
          idleHeartbeatIntervalMs: idleHeartbeatIntervalMs(leaseMs),
          stale,
        }),
      );
    } catch (error) {
      workers.leave(session);
      await patiently(db, () => workerDetach(db, key, 0));
      throw error;
    }
    if (bookedAt !== serverId() || this.#isSuspended || this.#isClosed) {
      // Declared dead, or shut down, while the worker came in: what it was told does not hold.
      workers.leave(session);
      throw leaseLost();
    }
    return this.#connection(session);
  }

  /** Tells all workers to go elsewhere, and lets no more in. */
  close(reason: string): void {
    this.#isClosed = true;
    this.#dropAll(reason);
  }

  /** Tells all workers to connect anew, and takes none in until {@link resume}. */
  suspend(reason: string): void {
    this.#isSuspended = true;
    this.#dropAll(reason);
  }

  resume(): void {
    this.#isSuspended = false;
  }

  #dropAll(reason: string): void {
    for (const session of this.#options.workers.all()) {
      this.#options.workers.leave(session);
      session.sink.goodbye(reason);
    }
  }

  /** Drops workers that were silent for longer than they may; the reaper takes their jobs back. */
  async dropSilentOnce(): Promise<void> {
    const { db, workers, onSilent, now } = this.#options;
    for (const session of workers.all()) {
      const nowMs = now();
      if (!session.isLost && !session.isSilent(nowMs)) continue;
      // From here on the reaper may take its jobs: a heartbeat that comes meanwhile must not be told of a lease.
      session.isLost = true;
      session.group?.recount();
      // Booked first: should that fail, the next pass finds the worker here again.
      await workerDetach(db, session.key, Math.round(session.silentMs(nowMs)));
      onSilent();
      workers.leave(session);
      session.sink.goodbye("lease_expired");
    }
  }

  /**
   * Books out workers that the table says are connected here, or to a server that stopped, and are not: a net under
   * every other way of booking them out.
   */
  async detachAbsentOnce(): Promise<void> {
    const { db, workers, serverId } = this.#options;
    const present = Array.from(workers.all(), (session) => session.id);
    await workerDetachAbsent(db, serverId(), present, ATTACHING_MS_MAX);
  }

  #connection(session: WorkerSession): WorkerConnection {
    const { db, outcomes, stops, notes, workers, renewedAgoMs, now, onReleased } = this.#options;
    return new WorkerConnection({
      session,
      outcomes,
      stops,
      notes,
      now,
      renewedAgoMs,
      onDrain: () => {
        session.isDraining = true;
        session.group?.recount();
        // For people only; the session decides.
        void patiently(db, () => workerDrain(db, session.id)).catch(() => undefined);
      },
      onClosed: async (inOrder) => {
        // A session that was left before has a successor, or was booked out by whoever left it.
        if (session.isClosed) return;
        workers.leave(session);
        const hasSeenAll = [...session.held.values()].every((held) => held.isAfterDrain);
        if (session.isDraining && inOrder && hasSeenAll) {
          const { requeuedLaneIds, jobIds } = await patiently(db, () =>
            releaseWorker(db, session.key),
          );
          await onReleased(requeuedLaneIds, jobIds);
        } else {
          await patiently(db, () => workerDetach(db, session.key, 0));
        }
      },
    });
  }

  async #registerTasks(hello: WorkerHello): Promise<void> {
    const { db, lanes, onTasks } = this.#options;
    const news = hello.tasks.filter((task) => lanes.task(task.name) === undefined);
    if (news.length > 0) {
      const { tasks } = await patiently(db, () => nameCounts(db, NAMESPACE_ID));
      if (tasks + news.length > TASKS_MAX) {
        throw new AppError(
          "resource_exhausted",
          `There are ${tasks} tasks; ${TASKS_MAX} are the most that are kept.`,
        );
      }
    }
    const names = hello.tasks.map((task) => task.name);
    const byName = new Map(hello.tasks.map((task) => [task.name, task]));
    await patiently(db, () => taskPut(db, NAMESPACE_ID, [...byName.values()]));
    await patiently(db, () => lanes.refreshTasks(names));
    onTasks(names);
  }
}

function leaseLost(): AppError {
  return new AppError("unavailable", "The server lost its lease meanwhile. Connect again.");
}

/** A worker that is booked in may still be on its way into this server's memory for so long. */
const ATTACHING_MS_MAX = 30_000;
/** Lanes made when a worker comes in. */
const EAGER_LANES_MAX = 256;
