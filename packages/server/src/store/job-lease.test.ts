import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { aLane, aQueuedJob, aShare, aWorker, leaseFrom, workersOf } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { BATCH_BYTES_MAX } from "../domain/limits.ts";
import type { Database } from "./db.ts";
import { jobLease, laneReady, laneShares } from "./job-lease.ts";
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

    const leased = await leaseFrom(db, [laneId], slots(5));

    assert.deepEqual(
      leased.map((job) => ids.indexOf(job.id)),
      [1, 3, 0, 4, 2],
    );
  });

  it("orders across the lanes it looks at", async () => {
    const [one, two] = [await aLane(db, "across", "a"), await aLane(db, "across", "b")];
    const low = await aQueuedJob(db, one, { priority: 1 });
    const high = await aQueuedJob(db, two, { priority: 2 });

    const first = await leaseFrom(db, [one, two], slots(1));
    const second = await leaseFrom(db, [one, two], slots(1));

    assert.deepEqual(
      [first, second].map(([job]) => job?.id),
      [high, low],
    );
  });

  it("leases one job a slot, to the slot's worker, with the next attempt", async () => {
    const laneId = await aLane(db, "slots");
    const other = await aWorker(db);
    for (let job = 0; job < 3; job += 1) await aQueuedJob(db, laneId);

    const leased = await leaseFrom(db, [laneId], [workerId, other]);

    assert.deepEqual(
      leased.map((job) => job.attempt),
      [1, 1],
    );
    assert.deepEqual(await workersOf(db, leased), [workerId, other]);
  });

  it("passes over rows that another transaction is leasing", async () => {
    const laneId = await aLane(db, "skip");
    const ids = [await aQueuedJob(db, laneId), await aQueuedJob(db, laneId)];

    const second = await db.transaction(async (tx) => {
      await leaseFrom(tx, [laneId], slots(1));
      return leaseFrom(db, [laneId], slots(2));
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

    const whilePaused = await leaseFrom(db, [laneId], slots(1));
    await queueResume(db, 1, "pausing");
    const afterwards = await leaseFrom(db, [laneId], slots(1));

    assert.deepEqual([whilePaused.length, afterwards[0]?.id], [0, id]);
  });

  for (const workerCount of [1, 3]) {
    it(`ends with the job whose input goes beyond what one answer carries, for ${workerCount} workers`, async () => {
      const laneId = await aLane(db, `large-${workerCount}`);
      const ids = [];
      for (let job = 0; job < 3; job += 1)
        ids.push(await aQueuedJob(db, laneId, { input: JSON.stringify("x".repeat(100)) }));
      const workerIds = slots(3);
      for (let worker = 1; worker < workerCount; worker += 1) workerIds[worker] = await aWorker(db);

      const first = await jobLease(db, [aShare(laneId, 3)], workerIds, 103);
      const second = await jobLease(db, [aShare(laneId, 3)], workerIds, 103);

      assert.deepEqual(
        [first, second].map((rows) => rows.map((job) => job.id)),
        [[ids[0], ids[1]], [ids[2]]],
      );
    });
  }

  it("takes no more of a lane than its share", async () => {
    const laneId = await aLane(db, "shared");
    for (let job = 0; job < 3; job += 1) await aQueuedJob(db, laneId);

    const leased = await jobLease(db, [aShare(laneId, 2)], slots(3), BATCH_BYTES_MAX);

    assert.equal(leased.length, 2);
  });

  it("lifts the queue timeout of what it leases", async () => {
    const laneId = await aLane(db, "timeout");
    const id = await aQueuedJob(db, laneId, { extra: { queueTimeoutMs: 60_000 } });

    await leaseFrom(db, [laneId], slots(1));

    assert.equal((await jobGet(db, id))?.state, "running");
  });
});

describe("laneShares", () => {
  it("tells in which lanes the first jobs of all stand", async (t) => {
    const db = await aDatabase(t);
    const [one, two] = [await aLane(db, "a"), await aLane(db, "b")];
    const paused = await aLane(db, "c");
    await queuePause(db, 1, "c", undefined);
    await aQueuedJob(db, paused, { priority: 9 });
    await aQueuedJob(db, one, { priority: 1 });
    await aQueuedJob(db, two, { priority: 5 });
    await aQueuedJob(db, two, { priority: 4 });
    await aQueuedJob(db, one);

    const shares = await laneShares(
      db,
      [one, two, paused].map((laneId) => aShare(laneId, 3)),
      3,
    );

    assert.deepEqual(
      new Map(shares.map((share) => [share.lane_id, share.count])),
      new Map([
        [one, 1],
        [two, 2],
      ]),
    );
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
