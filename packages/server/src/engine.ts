/**
 * The engine of one server: the hot path of dispatch/, the loops of services/, and the operations that the doors call,
 * wired together. It has no door of its own.
 */
import type { Logger } from "pino";

import { createOperations } from "./api/create-operations.ts";
import type { Operations } from "./api/operations.ts";
import { Intake } from "./dispatch/intake.ts";
import type { Lane } from "./dispatch/lane.ts";
import { Lanes } from "./dispatch/lanes.ts";
import { Leaser } from "./dispatch/leaser.ts";
import { Notes } from "./dispatch/notes.ts";
import { Outcomes } from "./dispatch/outcomes.ts";
import { Stops } from "./dispatch/stops.ts";
import { Watchers } from "./dispatch/watchers.ts";
import { WorkerDoor } from "./dispatch/worker-door.ts";
import { Workers } from "./dispatch/workers.ts";
import {
  DELIVERY_MS_MAX,
  REAP_INTERVAL_MS,
  SERVER_RENEW_MS,
  SLOW_POLL_MS,
} from "./domain/limits.ts";
import { tidyLeasesOnce } from "./services/lease-tidier.ts";
import { runEvery } from "./services/loop.ts";
import { Notifier, runListener, type WakeUp } from "./services/notifier.ts";
import { Promoter } from "./services/promoter.ts";
import { pruneOnce, type Retention } from "./services/pruner.ts";
import { expireOnce, reapGoneOnce, Reaper, type ReapOptions } from "./services/reaper.ts";
import { ServerLease } from "./services/server-lease.ts";
import { Vacuumer } from "./services/vacuumer.ts";
import { isConnectionError, isLockTimeout, type Database } from "./store/db.ts";
import { jobCancelRequested } from "./store/job-lease.ts";

export interface EngineOptions {
  readonly db: Database;
  /** For lists and looks of people, apart from the engine's own statements. */
  readonly reads: Database;
  readonly logger: Logger;
  /** For people, in lists of servers. */
  readonly name: string;
  readonly version: string;
  readonly payloadBytesMax: number;
  readonly idempotencyMs: number;
  readonly retention: Retention;
}

export interface Engine {
  readonly operations: Operations;
  readonly workerDoor: WorkerDoor;
  /** The server's name as workers see it. */
  readonly serverName: string;
  /** Id of this server in `operations.serverList()`; another one after its lease was lost. */
  readonly serverId: () => string;
  /** Turns not ready and tells workers to go elsewhere; calls go on. */
  drain(): void;
  /** Drains, finishes what was taken in, and books the server out. */
  stop(): Promise<void>;
}

/** Partitions and retention are looked after so often. */
const PRUNE_INTERVAL_MS = 10 * 60_000;

/** A server that stops waits so long for a database that is away; what workers report then, they tell the next server. */
const DATABASE_STOP_WAIT_MS = 15_000;

/** Behind notifications: definitions of tasks, lanes and pauses are read anew so often. */
const RELOAD_INTERVAL_MS = 30_000;

/**
 * Passes that look for what was overlooked read indexes from their heads. While somebody holds a snapshot these are full of
 * entries of jobs that are over: then each pass takes seconds, and rests so many times as long, at most a minute.
 */
const POLL_REST_TIMES = 20;

/** Jobs that waited for too long are ended so much later, at most. */
const EXPIRE_INTERVAL_MS = 1_000;

/** Dead rows of live jobs are looked at so often: at 30,000 jobs a second there are 150,000 then. */
const VACUUM_INTERVAL_MS = 5_000;

/** A net under every other way of booking workers out, which waits for half a minute by itself. */
const DETACH_ABSENT_INTERVAL_MS = 10_000;

/** Starts the engine on a migrated database. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { db, logger } = options;
  const now = (): number => performance.now();
  const onError = (error: unknown): void => logFailure(logger, error);
  const stopping = new AbortController();
  const { signal } = stopping;
  let isDraining = false;

  await pruneOnce(db, options.retention).catch((error: unknown) => {
    // Somebody's long query is in its way; the default partitions take what comes until the next pass.
    if (!isLockTimeout(error)) throw error;
    onError(error);
  });
  const lease = await ServerLease.take(db, options, now);
  const lanes = new Lanes(db, (lane) => workers.addLane(lane));
  const watchers = new Watchers({
    db,
    lanes,
    pollMs: SLOW_POLL_MS,
    hasOthers: () => lease.hasOthers,
    onError,
  });
  const onChanged = (jobIds: readonly string[]): void => watchers.hint(jobIds);
  const notifier = new Notifier({
    db,
    serverId: () => lease.id,
    hasOthers: () => lease.hasOthers,
    onError,
  });
  const workers: Workers = new Workers({
    db,
    lanes: () => lanes,
    onFree: (group) => leaser.wake(group),
    onHeld: (_session, held) => stops.watch(held),
    now,
    onError,
  });
  const leaser: Leaser = new Leaser({ db, lanes, workers, now, onLeased: onChanged, onError });
  const onQueued = (queued: Iterable<Lane>): void => {
    const all = [...queued];
    leaser.wakeLanes(all);
    notifier.lanes(all.map((lane) => lane.id));
  };
  const onQueuedIds = async (laneIds: readonly number[]): Promise<void> =>
    onQueued(await lanes.resolve(laneIds));
  /** Of jobs that were taken back: they stand where they stood before. */
  const onRequeuedIds = async (laneIds: readonly number[]): Promise<void> => {
    const requeued = await lanes.resolve(laneIds);
    for (const lane of requeued) lane.leaseStart.lookFromHead();
    onQueued(requeued);
  };
  const promoter = new Promoter({ db, onQueued: onQueuedIds, onError });
  const onScheduled = (dueInMs: number | undefined): void => promoter.wake(dueInMs);
  const outcomes: Outcomes = new Outcomes({
    db,
    lanes,
    onQueued,
    onScheduled,
    onChanged,
    onStarted: (_session, held) => stops.watch(held),
    now,
    random: Math.random,
    onError,
  });
  const stops: Stops = new Stops({ lanes, workers, outcomes, now, onError });
  const notes = new Notes({ db, onChanged, onError });
  const intake = new Intake({
    ...options,
    lanes,
    workers,
    onQueued,
    onScheduled,
    onChanged,
    now,
    onError,
  });
  const workerDoor = new WorkerDoor({
    db,
    lanes,
    workers,
    outcomes,
    stops,
    notes,
    serverId: () => lease.id,
    renewedAgoMs: () => lease.renewedAgoMs,
    onTasks: (names) => notifier.tasks(names),
    onReleased: async (laneIds, jobIds) => {
      await onRequeuedIds(laneIds);
      onChanged(jobIds);
    },
    onSilent: () => reaper.wake(),
    now,
  });

  const stopAttempt = (jobId: string, attempt: number, workerId: number, message: string): void => {
    const session = workers.byId(workerId);
    if (session === undefined) notifier.stop(jobId, attempt, workerId, message);
    else stops.cancel(session, jobId, attempt, message);
  };
  const onWakeUp = (wakeUp: WakeUp): void => {
    hearWakeUp(wakeUp).catch(onError);
  };
  const hearWakeUp = async (wakeUp: WakeUp): Promise<void> => {
    if (wakeUp.lanes) leaser.wakeLanes(await lanes.resolve(wakeUp.lanes));
    if (wakeUp.tasks) await lanes.refreshTasks(wakeUp.tasks);
    if (wakeUp.isPauseChanged) await pauseChangedHere();
    for (const [jobId, attempt, workerId, message] of wakeUp.stops ?? []) {
      const session = workers.byId(workerId);
      if (session !== undefined) stops.cancel(session, jobId, attempt, message);
    }
    watchers.hintEvents();
  };
  const pauseChangedHere = async (): Promise<void> => {
    await lanes.loadPaused();
    leaser.wakeLanes([...lanes.all()].filter((lane) => lane.hasBacklog));
  };
  const pollOnce = async (): Promise<void> => {
    await leaser.pollOnce();
    await workers.pollOnce();
    await reapGoneOnce(reaping());
    const held = [...workers.all()]
      .filter((session) => session.held.size > 0)
      .map((session) => session.id);
    if (held.length === 0) return;
    for (const row of await jobCancelRequested(db, held, DELIVERY_MS_MAX)) {
      stopAttempt(row.id, row.attempt, row.worker_id, "The job was cancelled.");
    }
  };
  const renewOnce = async (): Promise<void> => {
    if (!(await lease.renew())) {
      logger.warn("this server was declared dead; it starts anew and its workers reconnect");
      workerDoor.suspend("server_lease_lost");
      await lease.retake();
      workerDoor.resume();
    }
    await workerDoor.dropSilentOnce();
  };
  const reaping = (): ReapOptions => ({
    db,
    serverId: lease.id,
    onQueued: onRequeuedIds,
    onChanged,
    onLost: (worker, jobCount) =>
      logger.warn({ worker: worker.name, jobCount }, "worker lost; its jobs were taken back"),
  });
  const reaper = new Reaper(reaping, now);

  const drain = (): void => {
    if (isDraining) return;
    isDraining = true;
    workerDoor.close("server_shutdown");
    // Longer than calls and their outcomes take to end: what is cut then waits for a database that does not answer.
    setTimeout(() => {
      db.abandon();
      options.reads.abandon();
    }, DATABASE_STOP_WAIT_MS).unref();
  };

  const vacuumer = new Vacuumer({
    db,
    signal,
    now,
    onNotice: (message) => logger.warn({ notice: message }, "vacuum of the jobs' table"),
  });

  await lanes.load();
  promoter.start();
  const loops = [
    // Apart from everything else: a long sweep must not cost the workers their leases.
    runEvery({ signal, intervalMs: SERVER_RENEW_MS, onError }, renewOnce),
    runEvery({ signal, intervalMs: REAP_INTERVAL_MS, onError }, () => reaper.passOnce()),
    runEvery({ signal, intervalMs: DETACH_ABSENT_INTERVAL_MS, onError }, () =>
      workerDoor.detachAbsentOnce(),
    ),
    runEvery({ signal, intervalMs: RELOAD_INTERVAL_MS, onError }, () => lanes.load()),
    runEvery({ signal, intervalMs: SLOW_POLL_MS, onError }, pauseChangedHere),
    runEvery({ signal, intervalMs: SLOW_POLL_MS, restTimes: POLL_REST_TIMES, onError }, pollOnce),
    // Without such rests: what it leaves it finds again, with what has come meanwhile.
    runEvery({ signal, intervalMs: SLOW_POLL_MS, onError }, () => tidyLeasesOnce(db)),
    runEvery({ signal, intervalMs: EXPIRE_INTERVAL_MS, restTimes: POLL_REST_TIMES, onError }, () =>
      expireOnce(reaping()),
    ),
    runEvery({ signal, intervalMs: VACUUM_INTERVAL_MS, onError }, () => vacuumer.passOnce()),
    runEvery({ signal, intervalMs: PRUNE_INTERVAL_MS, onError }, () =>
      pruneOnce(db, options.retention),
    ),
    runListener({
      db,
      serverId: () => lease.id,
      onWakeUp,
      onConnected: () => void pauseChangedHere().then(pollOnce).catch(onError),
      signal,
      onError,
    }),
  ];

  return {
    operations: createOperations({
      db,
      reads: options.reads,
      intake,
      lanes,
      watchers,
      stopAttempt,
      onQueuedIds,
      onChanged,
      onPauseChanged: async () => {
        notifier.pauseChanged();
        await pauseChangedHere();
      },
      onTasks: (names) => notifier.tasks(names),
      isStopping: () => isDraining,
    }),
    workerDoor,
    serverName: options.name,
    serverId: () => String(lease.id),
    drain,
    stop: async () => {
      drain();
      stopping.abort();
      await promoter.stop();
      await leaser.stop();
      await watchers.stop();
      await Promise.all([intake.idle(), outcomes.idle(), notes.idle()]);
      stops.stop();
      notifier.close();
      await Promise.all(loops);
      await lease.giveUp();
    },
  };
}

function logFailure(logger: Logger, error: unknown): void {
  if (isConnectionError(error)) logger.warn({ err: error }, "the database is away");
  else logger.error({ err: error }, "a background pass failed");
}
