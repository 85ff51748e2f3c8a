/** Rows that tests begin with: lanes, workers, jobs in a state. */
import { randomUUID } from "node:crypto";

import { newJobId } from "../src/domain/job-id.ts";
import { BATCH_BYTES_MAX } from "../src/domain/limits.ts";
import type { Db } from "../src/store/db.ts";
import { jobInsert, type NewJob } from "../src/store/job-enqueue.ts";
import type { AttemptKey } from "../src/store/fence.ts";
import {
  jobLease,
  jobRunning,
  LANE_HEAD,
  type LaneShare,
  type LeaseRow,
  type LeasedJob,
} from "../src/store/job-lease.ts";
import { laneCreate, laneFind, queueCreate, taskPut } from "../src/store/lane.ts";
import { serverStart } from "../src/store/server.ts";
import { workerAttach } from "../src/store/worker.ts";

/** A lane of the default namespace, with its queue and task. */
export async function aLane(db: Db, queue = "default", task = "noop"): Promise<number> {
  await queueCreate(db, 1, [queue]);
  await taskPut(db, 1, [{ name: task }]);
  await laneCreate(db, 1, [{ queue, task }]);
  return present((await laneFind(db, 1, [{ queue, task }]))[0]).id;
}

/** A connected worker of a server of its own. */
export async function aWorker(
  db: Db,
  different: { readonly leaseMs?: number } = {},
): Promise<number> {
  const serverId = await serverStart(db, "test-server", "0.0.0");
  const { id } = await workerAttach(db, {
    instance: randomUUID(),
    serverId,
    name: "test-worker",
    host: "localhost",
    pid: 1,
    sdk: "test/0",
    slots: 10,
    tasks: ["noop"],
    queues: ["default"],
    labels: {},
    leaseMs: different.leaseMs ?? 8_000,
  });
  return id;
}

/** A job that is about to be inserted. */
export function aNewJob(laneId: number, different: Partial<NewJob> = {}): NewJob {
  return {
    id: newJobId(Date.now()),
    laneId,
    priority: 0,
    maxAttempts: 3,
    input: "null",
    workerId: undefined,
    extra: undefined,
    ...different,
  };
}

/** A queued job. @returns its id */
export async function aQueuedJob(
  db: Db,
  laneId: number,
  different: Partial<NewJob> = {},
): Promise<string> {
  const job = aNewJob(laneId, different);
  await jobInsert(db, [job], false);
  return job.id;
}

/** A job that runs under its first lease. */
export async function aRunningJob(
  db: Db,
  laneId: number,
  workerId: number,
  different: Partial<NewJob> = {},
): Promise<LeasedJob> {
  await aQueuedJob(db, laneId, { ...different, priority: 100 });
  return present((await leaseFrom(db, [laneId], [workerId]))[0]);
}

/** A lane to lease from, looked at from its head. */
export function aShare(laneId: number, most: number): LaneShare {
  return { laneId, most, from: LANE_HEAD };
}

/** Leases from these lanes, as many of each as there are slots. */
export function leaseFrom(
  db: Db,
  laneIds: readonly number[],
  workerIds: readonly number[],
): Promise<readonly LeaseRow[]> {
  const shares = laneIds.map((laneId) => aShare(laneId, workerIds.length));
  return jobLease(db, shares, workerIds, BATCH_BYTES_MAX);
}

/** Which worker holds each of these running jobs, in their order. */
export async function workersOf(
  db: Db,
  jobs: readonly AttemptKey[],
): Promise<readonly (number | undefined)[]> {
  const rows = await jobRunning(db, jobs);
  return jobs.map(({ id }) => rows.find((row) => row.id === id)?.worker_id);
}

/** What a test has just made sure of. */
export function present<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("expected a value");
  return value;
}
