/** The rooms of dispatch/ wired together on a test database, without the loops and doors around them. */
import assert from "node:assert/strict";

import { Intake } from "../src/dispatch/intake.ts";
import type { Lane } from "../src/dispatch/lane.ts";
import { Lanes } from "../src/dispatch/lanes.ts";
import { Leaser } from "../src/dispatch/leaser.ts";
import { Outcomes } from "../src/dispatch/outcomes.ts";
import { Stops } from "../src/dispatch/stops.ts";
import type { WorkerSessionOptions } from "../src/dispatch/worker-session.ts";
import { Workers } from "../src/dispatch/workers.ts";
import type { AttemptRef } from "../src/domain/job.ts";
import type { TaskDefinition } from "../src/domain/views.ts";
import type { Database, Db } from "../src/store/db.ts";
import { jobInsert, type NewJob } from "../src/store/job-enqueue.ts";
import { taskPut } from "../src/store/lane.ts";
import { aNewJob, aWorker } from "./a-job.ts";
import { aSession, type PlayedSession } from "./a-session.ts";

export interface DispatchOptions {
  /** Milliseconds of this process's clock; stands still unless the test moves it. */
  readonly now: () => number;
  /** Without it an error that is told of fails the process. */
  readonly onError: (error: unknown) => void;
}

export interface JoinOptions extends Partial<WorkerSessionOptions> {
  readonly queues?: readonly string[];
  readonly presented?: readonly AttemptRef[];
  /** Its row; absent: a new one. */
  readonly id?: number;
}

/** The engine's inner rooms, and what they told of. */
export interface Dispatch {
  readonly lanes: Lanes;
  readonly workers: Workers;
  readonly outcomes: Outcomes;
  readonly stops: Stops;
  readonly leaser: Leaser;
  readonly intake: Intake;
  readonly told: {
    readonly queued: Lane[];
    readonly scheduled: (number | undefined)[];
    readonly changed: string[];
    readonly leased: string[];
  };
  /** A lane of the task "noop", whose definition the test may give. */
  lane(queue: string, definition?: Partial<TaskDefinition>): Promise<Lane>;
  /** Connects a worker that runs "noop". It is given at once what the table says it holds. */
  join(options?: JoinOptions): Promise<PlayedSession & { readonly stale: readonly AttemptRef[] }>;
  /** Puts a job into the table that a worker holds already. @returns its id */
  holds(workerId: number, lane: Lane, different?: Partial<NewJob>): Promise<string>;
}

export async function aDispatch(
  db: Database,
  cleanup: { readonly after: (stop: () => Promise<void>) => void },
  options: Partial<DispatchOptions> = {},
): Promise<Dispatch> {
  const now = options.now ?? (() => 0);
  const onError = options.onError ?? ((error) => assert.fail(String(error)));
  const told: Dispatch["told"] = { queued: [], scheduled: [], changed: [], leased: [] };
  const lanes = new Lanes(db, (lane) => workers.addLane(lane));
  const workers: Workers = new Workers({
    db,
    lanes: () => lanes,
    onFree: (group) => leaser.wake(group),
    onHeld: (_session, held) => stops.watch(held),
    now,
    onError,
  });
  const leaser: Leaser = new Leaser({
    db,
    lanes,
    workers,
    now,
    onLeased: (jobIds) => told.leased.push(...jobIds),
    onError,
  });
  const outcomes: Outcomes = new Outcomes({
    db,
    lanes,
    onQueued: (queued) => told.queued.push(...queued),
    onScheduled: (dueInMs) => told.scheduled.push(dueInMs),
    onChanged: (jobIds) => told.changed.push(...jobIds),
    onStarted: (_session, held) => stops.watch(held),
    now,
    random: () => 0.5,
    onError,
  });
  const stops: Stops = new Stops({ lanes, workers, outcomes, now, onError });
  const intake = new Intake({
    db,
    lanes,
    workers,
    payloadBytesMax: 1024 * 1024,
    idempotencyMs: 60_000,
    onQueued: (queued) => told.queued.push(...queued),
    onScheduled: (dueInMs) => told.scheduled.push(dueInMs),
    onChanged: (jobIds) => told.changed.push(...jobIds),
    now,
    onError,
  });
  await lanes.load();
  cleanup.after(async () => {
    await intake.idle();
    stops.stop();
    await leaser.stop();
    await outcomes.idle();
  });
  return {
    lanes,
    workers,
    outcomes,
    stops,
    leaser,
    intake,
    told,
    lane: async (queue, definition) => {
      if (definition !== undefined) {
        await taskPut(db, 1, [{ name: "noop", ...definition }]);
        await lanes.refreshTasks(["noop"]);
      }
      return lanes.ensure(queue, "noop");
    },
    join: async ({ queues = ["default"], presented = [], id, ...different } = {}) => {
      const key = { id: id ?? (await aWorker(db)), connection: 1 };
      const played = aSession({ key, nowMs: now(), ...different });
      played.session.isReady = false;
      let stale: readonly AttemptRef[] = [];
      await workers.join(played.session, ["noop"], queues, presented, (refused) => {
        stale = refused;
      });
      return { ...played, stale };
    },
    holds: async (workerId, lane, different) => {
      const job = aNewJob(lane.id, { workerId, ...different });
      await jobInsert(db, [job], false);
      return job.id;
    },
  };
}

/** A database whose answers a test can hold up, or replace by an error, after the statements have run. */
export interface TroubledDatabase extends Database {
  /** Holds up the next answer to a statement of this name. Resolves when it is there. */
  holdAnswer(name: string): Promise<() => void>;
  /** The next statement of this name runs, and then seems to have failed. */
  loseAnswer(name: string, error: Error): void;
  /** The next transaction is committed, and then seems to have failed. */
  loseCommit(error: Error): void;
  /** The next statement of this name fails before it runs. */
  refuse(name: string, error: Error): void;
  /** How many statements of this name have begun. */
  count(name: string): number;
}

/** @see TroubledDatabase */
export function aTroubledDatabase(db: Database): TroubledDatabase {
  const holds = new Map<string, (go: () => void) => void>();
  const losses = new Map<string, Error>();
  const refusals = new Map<string, Error>();
  const counts = new Map<string, number>();
  let lostCommit: Error | undefined;
  const queryOf =
    (on: Db): Db["query"] =>
    async (statement, name = "") => {
      counts.set(name, (counts.get(name) ?? 0) + 1);
      fail(refusals, name);
      const rows = await on.query<never>(statement, name === "" ? undefined : name);
      fail(losses, name);
      const hold = holds.get(name);
      if (holds.delete(name)) await new Promise<void>((resolve) => hold?.(resolve));
      return rows;
    };
  return {
    ...db,
    query: queryOf(db),
    transaction: async (work) => {
      const result = await db.transaction((tx) => work({ query: queryOf(tx) }));
      const lost = lostCommit;
      lostCommit = undefined;
      if (lost !== undefined) throw lost;
      return result;
    },
    loseCommit: (error) => {
      lostCommit = error;
    },
    holdAnswer: (name) => new Promise((resolve) => holds.set(name, resolve)),
    loseAnswer: (name, error) => void losses.set(name, error),
    refuse: (name, error) => void refusals.set(name, error),
    count: (name) => counts.get(name) ?? 0,
  };
}

/** What a broken connection looks like. */
export function brokenConnection(): Error {
  return Object.assign(new Error("Connection terminated unexpectedly"), { code: "08006" });
}

/** Fails once. */
function fail(failures: Map<string, Error>, name: string): void {
  const failure = failures.get(name);
  failures.delete(name);
  if (failure !== undefined) throw failure;
}
