import assert from "node:assert/strict";
import { before, beforeEach, describe, it, type TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";

import {
  aDispatch,
  aTroubledDatabase,
  brokenConnection,
  type Dispatch,
  type TroubledDatabase,
} from "../../test/a-dispatch.ts";
import { aQueuedJob, aWorker } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { until } from "../../test/until.ts";
import { LEASE_LANES_MAX } from "../domain/limits.ts";
import { jobGet } from "../store/job-read.ts";
import { queuePause, queueResume } from "../store/lane.ts";
import { sql } from "../store/sql.ts";
import type { Lane } from "./lane.ts";

const LEASE = "job_lease";
/** Looks from the head that take so long rest for ten times that. */
const DEAR_MS = 1_000;
const MINUTE_MS = 60_000;

describe("Leaser", () => {
  const cleanup = suiteCleanup();
  const errors: unknown[] = [];
  let db: TroubledDatabase;
  let dispatch: Dispatch;
  let tests = 0;
  let queue = "";
  before(async () => {
    db = aTroubledDatabase(await aDatabase(cleanup));
    dispatch = await aDispatch(db, cleanup, { onError: (error) => errors.push(error) });
  });
  beforeEach(() => {
    tests += 1;
    queue = `leaser-${tests}`;
  });

  /** A lane of the test's own that nobody believes to have jobs. */
  const anEmptyLane = async (name = queue): Promise<Lane> => {
    const lane = await dispatch.lane(name, {});
    lane.markEmpty(lane.wakeUps);
    return lane;
  };
  const jobsIn = async (lane: Lane, count: number): Promise<readonly string[]> => {
    const ids: string[] = [];
    for (let job = 0; job < count; job += 1) ids.push(await aQueuedJob(db, lane.id));
    return ids;
  };

  it("gives ready jobs to free slots, the first ones first, and leaves the rest", async () => {
    const lane = await anEmptyLane();
    const ids = await jobsIn(lane, 5);
    const { jobs, session } = await dispatch.join({ queues: [queue], slots: 3 });

    dispatch.leaser.wakeLanes([lane]);
    await until(() => jobs.length === 3);

    assert.deepEqual(
      jobs.map((job) => job.id),
      ids.slice(0, 3),
    );
    assert.deepEqual([session.freeCount, lane.hasBacklog], [0, true]);
    assert.deepEqual(dispatch.told.leased.slice(-3), ids.slice(0, 3));
  });

  describe("behind what it leased, while it rests from looking from the head", () => {
    interface SlowDispatch extends Dispatch {
      /** Lets time pass. */
      readonly skip: (ms: number) => void;
    }
    /** Each lease takes so long, by a clock that stands still otherwise. */
    const aSlowDispatch = async (t: TestContext, leaseMs: number): Promise<SlowDispatch> => {
      let nowMs = 0;
      const skip = (ms: number): void => void (nowMs += ms);
      const slow: TroubledDatabase = {
        ...db,
        query: async (statement, name) => {
          if (name === LEASE) skip(leaseMs);
          return db.query<never>(statement, name);
        },
      };
      return { ...(await aDispatch(slow, t, { now: () => nowMs })), skip };
    };
    const place = (id: string, position: number) =>
      db.query(sql`update baton.job set queue_position = ${position} where id = ${id}`);
    /** A lane with five jobs, at 1,000,000 and behind it. The first two were leased from the head, and one of them has ended. */
    const aBegunLane = async (slow: SlowDispatch) => {
      const lane = await slow.lane(queue, {});
      const ids = await jobsIn(lane, 5);
      for (const [index, id] of ids.entries()) await place(id, 1_000_000 + index);
      const { jobs, session } = await slow.join({ queues: [queue], slots: 1 });
      const finish = (job: number) =>
        slow.outcomes.report(session, [
          { jobId: jobs[job]?.id ?? "", attempt: 1, kind: "succeeded" },
        ]);
      slow.leaser.wakeLanes([lane]);
      await until(() => jobs.length === 1);
      await finish(0);
      await until(() => jobs.length === 2);
      return { lane, ids, jobs, finish };
    };

    it("begins there, and looks from the head when it finds too few", async (t) => {
      const slow = await aSlowDispatch(t, 20);
      const { ids, jobs, finish } = await aBegunLane(slow);
      const [, , passed = "", third, fourth] = ids;

      await place(passed, 1);
      for (const job of [1, 2, 3]) {
        await finish(job);
        await until(() => jobs.length === job + 2);
      }

      assert.deepEqual(
        jobs.slice(2).map(({ id }) => id),
        [third, fourth, passed],
      );
    });

    it("takes the lane for empty where looks from the head are dear, until the head has rested", async (t) => {
      const slow = await aSlowDispatch(t, DEAR_MS);
      const { lane, ids, jobs, finish } = await aBegunLane(slow);
      const [, , passed = "", third, fourth] = ids;
      await place(passed, 1);
      // Two seconds each, with the lease: looks back begin behind the first jobs then.
      for (const job of [1, 2]) {
        slow.skip(DEAR_MS);
        await finish(job);
        await until(() => jobs.length === job + 2);
      }

      // Two looks more, and the head rests for another second.
      slow.skip(3 * DEAR_MS);
      await finish(3);
      await until(() => !lane.hasBacklog);
      const jobsThen = jobs.map(({ id }) => id);
      slow.skip(MINUTE_MS);
      await until(() => jobs.length === 5);

      assert.deepEqual([jobsThen.slice(2), jobs[4]?.id], [[third, fourth], passed]);
    });

    it("finds what was committed after later places were leased, also where looks from the head are dear", async (t) => {
      const slow = await aSlowDispatch(t, 2.5 * DEAR_MS);
      const { lane, ids, jobs, finish } = await aBegunLane(slow);
      const [, , late = ""] = ids;
      // It drew a place between those of the jobs that run next.
      await db.query(
        sql`update baton.job set state = 'waiting', is_in_line = false where id = ${late}`,
      );
      for (const job of [1, 2]) {
        await finish(job);
        await until(() => jobs.length === job + 2);
      }
      await finish(3);
      await until(() => !lane.hasBacklog);

      await db.query(
        sql`update baton.job set state = 'queued', is_in_line = true where id = ${late}`,
      );
      slow.leaser.wakeLanes([lane]);
      await until(() => jobs.length === 5);

      assert.equal(jobs[4]?.id, late);
    });
  });

  it("goes on when a slot becomes free, until the lane is empty", async () => {
    const lane = await anEmptyLane();
    await jobsIn(lane, 4);
    const { jobs, session } = await dispatch.join({ queues: [queue], slots: 1 });

    dispatch.leaser.wakeLanes([lane]);
    for (let job = 0; job < 4; job += 1) {
      await until(() => jobs.length === job + 1);
      await dispatch.outcomes.report(session, [
        { jobId: jobs[job]?.id ?? "", attempt: 1, kind: "succeeded" },
      ]);
    }
    await until(() => !lane.hasBacklog);

    assert.equal(jobs.length, 4);
  });

  it("makes one statement of several wake-ups in one turn of the event loop", async () => {
    const lane = await anEmptyLane();
    await jobsIn(lane, 3);
    const { jobs } = await dispatch.join({ queues: [queue], slots: 3 });
    const leases = db.count(LEASE);

    for (let wake = 0; wake < 10; wake += 1) dispatch.leaser.wakeLanes([lane]);
    await until(() => jobs.length === 3);

    assert.equal(db.count(LEASE) - leases, 1);
  });

  it("asks for nothing while no slot is free, or no lane may have jobs", async () => {
    const [empty, full] = [await anEmptyLane(), await anEmptyLane(`${queue}-full`)];
    await dispatch.join({ queues: [empty.queue], slots: 1 });
    const busy = await aWorker(db);
    await dispatch.holds(busy, full);
    await dispatch.join({ id: busy, queues: [full.queue], slots: 1 });
    const leases = db.count(LEASE);

    for (const lane of [empty, full])
      for (const group of dispatch.workers.groupsOf(lane)) dispatch.leaser.wake(group);
    dispatch.leaser.wakeLanes([full]);
    for (let turn = 0; turn < 5; turn += 1) await nextTurn();

    assert.equal(db.count(LEASE), leases);
  });

  it("does not miss a job that came while it was looking", async () => {
    const lane = await anEmptyLane();
    const { jobs } = await dispatch.join({ queues: [queue], slots: 2 });

    const holding = db.holdAnswer(LEASE);
    dispatch.leaser.wakeLanes([lane]);
    const letGo = await holding;
    const [id] = await jobsIn(lane, 1);
    dispatch.leaser.wakeLanes([lane]);
    letGo();
    await until(() => jobs.length === 1);

    assert.equal(jobs[0]?.id, id);
  });

  it("gives every lane its turn when there are more than one statement looks at", async () => {
    const lanes: Lane[] = [];
    for (let number = 0; number < LEASE_LANES_MAX + 6; number += 1) {
      const lane = await anEmptyLane(`${queue}-${number}`);
      await jobsIn(lane, 1);
      lanes.push(lane);
    }
    const { jobs } = await dispatch.join({
      queues: lanes.map((lane) => lane.queue),
      slots: lanes.length,
    });

    dispatch.leaser.wakeLanes(lanes);
    await until(() => jobs.length === lanes.length);

    assert.equal(new Set(jobs.map((job) => job.lane)).size, lanes.length);
  });

  it("takes from several lanes what comes first in all of them", async () => {
    const [one, other] = [await anEmptyLane(), await anEmptyLane(`${queue}-other`)];
    const low = await aQueuedJob(db, one.id, { priority: 1 });
    const high = await aQueuedJob(db, other.id, { priority: 2 });
    const next = await aQueuedJob(db, other.id, { priority: 1 });
    const { jobs } = await dispatch.join({ queues: [one.queue, other.queue], slots: 2 });

    dispatch.leaser.wakeLanes([one, other]);
    await until(() => jobs.length === 2);

    assert.deepEqual(
      jobs.map((job) => job.id),
      [high, low],
    );
    assert.equal((await jobGet(db, next))?.state, "queued");
  });

  it("leaves a paused queue alone until it is resumed, whatever wakes it", async () => {
    const lane = await anEmptyLane();
    const [id] = await jobsIn(lane, 1);
    const { jobs } = await dispatch.join({ queues: [queue] });
    await queuePause(db, 1, queue, "because");
    await dispatch.lanes.loadPaused();
    const leases = db.count(LEASE);

    dispatch.leaser.wakeLanes([lane]);
    for (let turn = 0; turn < 5; turn += 1) await nextTurn();
    assert.equal(db.count(LEASE), leases);
    await queueResume(db, 1, queue);
    await dispatch.lanes.loadPaused();
    dispatch.leaser.wakeLanes([lane]);
    await until(() => jobs.length === 1);

    assert.equal(jobs[0]?.id, id);
  });

  it("gives each job to the worker that it was leased for, also when one before it was not leased", async (t) => {
    // As when another server leased the first one and gave it back while the statement ran.
    const gapped: TroubledDatabase = {
      ...db,
      query: async (statement, name) => {
        const rows = await db.query<never>(statement, name);
        return name === "job_lease_slots" ? rows.slice(1) : rows;
      },
    };
    const dispatched = await aDispatch(gapped, { after: (stop) => t.after(stop) });
    const lane = await dispatched.lane(queue, {});
    lane.markEmpty(lane.wakeUps);
    const [, second = ""] = await jobsIn(lane, 2);
    const workers = [
      await dispatched.join({ queues: [queue], slots: 1 }),
      await dispatched.join({ queues: [queue], slots: 1 }),
    ];

    dispatched.leaser.wakeLanes([lane]);
    await until(() => workers.some(({ jobs }) => jobs.length > 0));

    const [row] = await db.query<{ worker_id: number }>(
      sql`select worker_id from baton.job where id = ${second}`,
    );
    const holder = workers.find(({ jobs }) => jobs.some((job) => job.id === second));
    assert.equal(holder?.session.id, row?.worker_id);
  });

  describe("pollOnce", () => {
    it("finds jobs that nobody told this server of", async () => {
      const lane = await anEmptyLane();
      const [id] = await jobsIn(lane, 1);
      const { jobs } = await dispatch.join({ queues: [queue] });

      await dispatch.leaser.pollOnce();
      await until(() => jobs.length === 1);

      assert.equal(jobs[0]?.id, id);
    });

    it("learns of a lane that another server made", async () => {
      const elsewhere = await aDispatch(db, cleanup);
      const lane = await elsewhere.lane(`${queue}-elsewhere`, {});
      const { jobs } = await dispatch.join({ queues: [lane.queue] });
      const [id] = await jobsIn(lane, 1);

      await dispatch.leaser.pollOnce();
      await until(() => jobs.length === 1);

      assert.deepEqual([jobs[0]?.id, jobs[0]?.lane.id], [id, lane.id]);
    });
  });

  describe("a statement that fails", () => {
    it("costs no slot and no job, and is told of", async () => {
      const lane = await anEmptyLane();
      const [id] = await jobsIn(lane, 1);
      const { jobs, session } = await dispatch.join({ queues: [queue], slots: 1 });
      const failure = new Error("out of memory");
      errors.length = 0;

      db.refuse(LEASE, failure);
      dispatch.leaser.wakeLanes([lane]);
      await until(() => jobs.length === 1);

      assert.deepEqual([errors, jobs[0]?.id, jobs[0]?.attempt], [[failure], id, 1]);
      assert.equal(session.held.size, 1);
    });

    it("delivers what it leased all the same when only its answer was lost, once", async () => {
      const lane = await anEmptyLane();
      const ids = await jobsIn(lane, 2);
      const { jobs, session } = await dispatch.join({ queues: [queue], slots: 2 });

      db.loseAnswer(LEASE, brokenConnection());
      dispatch.leaser.wakeLanes([lane]);
      await until(() => jobs.length === 2 && session.isReady);

      // In the order of their ids, which two jobs of one millisecond do not have.
      assert.deepEqual(
        new Map(jobs.map((job) => [job.id, job.attempt])),
        new Map(ids.map((id) => [id, 1])),
      );
      assert.deepEqual([session.held.size, session.freeCount], [2, 0]);
    });
  });

  it("delivers what is under way when it stops, and leases nothing more", async (t: TestContext) => {
    const own = await aDispatch(db, t);
    const lane = await own.lane(queue, {});
    const ids = await jobsIn(lane, 2);
    const { jobs } = await own.join({ queues: [queue], slots: 1 });

    const holding = db.holdAnswer(LEASE);
    own.leaser.wakeLanes([lane]);
    const letGo = await holding;
    const stopping = own.leaser.stop();
    letGo();
    await stopping;
    own.leaser.wakeLanes([lane]);
    for (let turn = 0; turn < 5; turn += 1) await nextTurn();

    assert.deepEqual(
      jobs.map((job) => job.id),
      ids.slice(0, 1),
    );
    const [row] = await db.query(
      sql`select count(*) as count from baton.job where lane_id = ${lane.id} and state = 'queued'`,
    );
    assert.deepEqual(row, { count: 1 });
  });
});
