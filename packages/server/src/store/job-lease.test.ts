import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { aLane, aQueuedJob, aWorker } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import type { Database } from "./db.ts";
import { jobLease, laneReady } from "./job-lease.ts";
import { jobGet } from "./job-read.ts";
import { queuePause, queueResume } from "./lane.ts";

describe("jobLease", () => {
  let db: Database;
  let workerId: number;
  const cleanup = suiteCleanup();
  before(async () => {
    db = await aDatabase(cleanup);
    workerId = await aWorker(db);
  });
  const slots = (count: number): number[] => Array.from({ length: count }, () => workerId);

  it("takes the highest priority first, and the oldest within one", async () => {
    const laneId = await aLane(db, "order");
    const ids: string[] = [];
    for (const priority of [0, 5, -5, 5, 0]) ids.push(await aQueuedJob(db, laneId, { priority }));

    const leased = await jobLease(db, [laneId], slots(5));

    assert.deepEqual(
      leased.map((job) => ids.indexOf(job.id)),
      [1, 3, 0, 4, 2],
    );
  });

  it("orders across the lanes it looks at", async () => {
    const [one, two] = [await aLane(db, "across", "a"), await aLane(db, "across", "b")];
    const low = await aQueuedJob(db, one, { priority: 1 });
    const high = await aQueuedJob(db, two, { priority: 2 });

    const first = await jobLease(db, [one, two], slots(1));
    const second = await jobLease(db, [one, two], slots(1));

    assert.deepEqual(
      [first, second].map(([job]) => job?.id),
      [high, low],
    );
  });

  it("leases one job a slot, to the slot's worker, with the next attempt", async () => {
    const laneId = await aLane(db, "slots");
    const other = await aWorker(db);
    for (let job = 0; job < 3; job += 1) await aQueuedJob(db, laneId);

    const leased = await jobLease(db, [laneId], [workerId, other]);

    assert.deepEqual(
      leased.map((job) => [job.worker_id, job.attempt]),
      [
        [workerId, 1],
        [other, 1],
      ],
    );
  });

  it("passes over rows that another transaction is leasing", async () => {
    const laneId = await aLane(db, "skip");
    const ids = [await aQueuedJob(db, laneId), await aQueuedJob(db, laneId)];

    const second = await db.transaction(async (tx) => {
      await jobLease(tx, [laneId], slots(1));
      return jobLease(db, [laneId], slots(2));
    });

    assert.deepEqual(
      second.map((job) => job.id),
      [ids[1]],
    );
  });

  it("leaves paused queues alone until they are resumed", async () => {
    const laneId = await aLane(db, "pausing");
    const id = await aQueuedJob(db, laneId);
    await queuePause(db, 1, "pausing", "maintenance");

    const whilePaused = await jobLease(db, [laneId], slots(1));
    await queueResume(db, 1, "pausing");
    const afterwards = await jobLease(db, [laneId], slots(1));

    assert.deepEqual([whilePaused.length, afterwards[0]?.id], [0, id]);
  });

  it("lifts the queue timeout of what it leases", async () => {
    const laneId = await aLane(db, "timeout");
    const id = await aQueuedJob(db, laneId, { extra: { queueTimeoutMs: 60_000 } });

    await jobLease(db, [laneId], slots(1));

    assert.equal((await jobGet(db, id))?.state, "running");
  });
});

describe("laneReady", () => {
  it("names exactly the lanes that have ready jobs", async (t) => {
    const db = await aDatabase(t);
    const lanes = [await aLane(db, "a"), await aLane(db, "b"), await aLane(db, "c")];
    await aQueuedJob(db, lanes[0] ?? 0);
    await aQueuedJob(db, lanes[2] ?? 0);
    await aQueuedJob(db, lanes[2] ?? 0);
    await aQueuedJob(db, lanes[1] ?? 0, { extra: { delayMs: 60_000 } });

    const ready = await laneReady(db);

    assert.deepEqual(
      ready.map((row) => row.lane_id),
      [lanes[0], lanes[2]],
    );
  });
});
