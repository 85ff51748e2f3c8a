/** One pass of each background duty, on a real database. */
import assert from "node:assert/strict";
import { before, describe, it, type TestContext } from "node:test";

import { aLane, aQueuedJob, aRunningJob, aWorker } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { until } from "../../test/until.ts";
import type { Database } from "../store/db.ts";
import { jobSucceed } from "../store/job-finish.ts";
import { jobGet } from "../store/job-read.ts";
import { eventFloor } from "../store/event.ts";
import { sql } from "../store/sql.ts";
import { promoteOnce } from "./promoter.ts";
import { pruneOnce } from "./pruner.ts";
import { expireOnce, reapGoneOnce, Reaper, type ReapOptions } from "./reaper.ts";
import { ServerLease } from "./server-lease.ts";

const IDENTITY = { name: "test-server", version: "0.0.0" };

describe("background duties", () => {
  const cleanup = suiteCleanup();
  let db: Database;
  let laneId: number;
  before(async () => {
    db = await aDatabase(cleanup);
    laneId = await aLane(db);
  });

  describe("promoteOnce", () => {
    it("queues what is due, and tells when the next job is", async () => {
      const due = await aQueuedJob(db, laneId, { extra: { delayMs: 60_000 } });
      const later = await aQueuedJob(db, laneId, { extra: { delayMs: 60_000 } });
      await db.query(sql`update baton.job set run_at = baton.clock() where id = ${due}`);
      const queued: number[] = [];

      const nextInMs = await promoteOnce(db, async (laneIds) => void queued.push(...laneIds));

      assert.deepEqual(queued, [laneId]);
      assert.equal((await jobGet(db, due))?.state, "queued");
      assert.equal((await jobGet(db, later))?.state, "scheduled");
      assert.ok(nextInMs > 0 && nextInMs <= 2_000, `${nextInMs}`);
    });

    it("leaves what another server is queueing, and looks again soon", async () => {
      const due = await aQueuedJob(db, laneId, { extra: { delayMs: 60_000 } });
      await db.query(sql`update baton.job set run_at = baton.clock() where id = ${due}`);
      const other = await db.connect("other");
      await other.query("begin");
      await other.query("select from baton.job where id = $1 for update", [due]);
      const queued: number[] = [];
      const promote = () => promoteOnce(db, async (laneIds) => void queued.push(...laneIds));

      const nextInMs = await promote();

      assert.deepEqual(queued, []);
      assert.ok(nextInMs > 0 && nextInMs <= 100, `${nextInMs}`);
      await other.end();
      await until(async () => (await promote()) > 100);
      assert.deepEqual(queued, [laneId]);
    });
  });

  describe("Reaper", () => {
    const reaping = (serverId = 0, on: Database = db): ReapOptions => ({
      db: on,
      serverId,
      onQueued: async () => undefined,
      onChanged: () => undefined,
      onLost: () => undefined,
    });
    const reap = (serverId: number, on?: Database) =>
      new Reaper(
        () => reaping(serverId, on),
        () => 0,
      ).passOnce();

    it("takes back the work of a dead server's workers when their lease is over, not before", async () => {
      const workerId = await aWorker(db);
      const job = await aRunningJob(db, laneId, workerId);
      const silent = (seconds: number) =>
        db.query(sql`
          update baton.server set renewed_at = baton.clock() - ${seconds}::integer * interval '1 s'
           where id = (select server_id from baton.worker where id = ${workerId})`);

      await silent(6);
      const within = await reap(0);
      const state = (await jobGet(db, job.id))?.state;
      await db.query(
        sql`update baton.worker set detached_at = detached_at - interval '3 s' where id = ${workerId}`,
      );
      const after = await reap(0);

      assert.deepEqual([within, state], [0, "running"]);
      assert.equal(after, 1);
      assert.equal((await jobGet(db, job.id))?.state, "queued");
    });

    it("takes back what a dead server's workers held in the same pass when their lease is over already", async () => {
      const workerId = await aWorker(db);
      const job = await aRunningJob(db, laneId, workerId);
      await db.query(sql`
        update baton.server set renewed_at = baton.clock() - interval '1 min'
         where id = (select server_id from baton.worker where id = ${workerId})`);

      const lostCount = await reap(0);

      assert.equal(lostCount, 1);
      assert.equal((await jobGet(db, job.id))?.state, "queued");
    });

    it("takes back what a worker was leased after it was gone", async () => {
      const workerId = await aWorker(db);
      const job = await aRunningJob(db, laneId, workerId);
      await db.query(sql`update baton.worker set gone_at = baton.clock() where id = ${workerId}`);

      await reapGoneOnce(reaping());

      assert.equal((await jobGet(db, job.id))?.state, "queued");
    });

    for (const [what, limit] of [
      ["that no worker started in time", sql`start_by`],
      ["behind its deadline", sql`finish_by`],
    ] as const) {
      it(`ends a job ${what}`, async () => {
        const id = await aQueuedJob(db, laneId, {
          extra: { queueTimeoutMs: 60_000, deadlineMs: 60_000 },
        });
        await db.query(
          sql`update baton.job set ${limit} = baton.clock() - interval '1 ms' where id = ${id}`,
        );

        const expiredCount = await expireOnce(reaping(0));

        assert.equal(expiredCount, 1);
        assert.equal((await jobGet(db, id))?.state, "dead");
      });
    }

    it("costs one statement when there is nothing to do", async () => {
      const workerId = await aWorker(db);
      await aRunningJob(db, laneId, workerId);
      await aQueuedJob(db, laneId, { extra: { queueTimeoutMs: 60_000 } });
      await reap(0);
      let statementCount = 0;

      await reap(0, {
        ...db,
        query: (statement, name) => {
          statementCount += 1;
          return db.query(statement, name);
        },
        transaction: () => assert.fail("nothing is to be changed"),
      });

      assert.equal(statementCount, 1);
    });

    describe("rests", () => {
      /** A reaper of the only server, when it looks, and a clock for it. */
      const aReaper = async (t: TestContext) => {
        const own = await aDatabase(t);
        const { id } = await ServerLease.take(own, IDENTITY, () => 0);
        const clock = { nowMs: 0 };
        const looks: number[] = [];
        const counting: Database = {
          ...own,
          query: (statement, name) => {
            looks.push(clock.nowMs);
            return own.query(statement, name);
          },
        };
        const reaper = new Reaper(
          () => reaping(id, counting),
          () => clock.nowMs,
        );
        const passAt = async (...instantsMs: readonly number[]): Promise<void> => {
          for (const ms of instantsMs) {
            clock.nowMs = ms;
            await reaper.passOnce();
          }
        };
        return { own, reaper, looks, passAt };
      };

      it("while nobody can be lost", async (t) => {
        const { looks, passAt } = await aReaper(t);

        await passAt(0, 500, 1_000, 1_500, 2_000);

        assert.deepEqual(looks, [0, 1_500]);
      });

      it("until it is woken, also in the middle of a look", async (t) => {
        const { reaper, looks, passAt } = await aReaper(t);

        await passAt(0);
        reaper.wake();
        const looking = passAt(500);
        reaper.wake();
        await looking;
        await passAt(1_000);

        assert.deepEqual(looks, [0, 500, 1_000]);
      });

      it("not while another server lives", async (t) => {
        const { own, looks, passAt } = await aReaper(t);
        await ServerLease.take(own, IDENTITY, () => 0);

        await passAt(0, 500, 1_000);

        assert.deepEqual(looks, [0, 500, 1_000]);
      });

      it("not while a worker has no connection", async (t) => {
        const { own, looks, passAt } = await aReaper(t);
        const workerId = await aWorker(own);
        await own.query(
          sql`update baton.worker set detached_at = baton.clock() where id = ${workerId}`,
        );
        await own.query(sql`
          update baton.server set stopped_at = baton.clock()
           where id = (select server_id from baton.worker where id = ${workerId})`);

        await passAt(0, 500, 1_000);

        assert.deepEqual(looks, [0, 500, 1_000]);
      });
    });

    it("never declares its own server dead", async () => {
      const lease = await ServerLease.take(db, IDENTITY, () => performance.now());
      await db.query(
        sql`update baton.server set renewed_at = baton.clock() - interval '1 h' where id = ${lease.id}`,
      );

      await reap(lease.id);

      assert.equal(await lease.renew(), true);
    });
  });

  describe("ServerLease", () => {
    it("is lost when another server declared this one dead, and can be taken anew", async () => {
      const lease = await ServerLease.take(db, IDENTITY, () => performance.now());
      const first = lease.id;
      await db.query(sql`update baton.server set stopped_at = baton.clock() where id = ${first}`);

      const renewed = await lease.renew();
      await lease.retake();

      assert.equal(renewed, false);
      assert.notEqual(lease.id, first);
      assert.equal(await lease.renew(), true);
    });

    it("knows of others that live", async () => {
      const lease = await ServerLease.take(db, IDENTITY, () => performance.now());
      await ServerLease.take(db, IDENTITY, () => performance.now());

      await lease.renew();

      assert.equal(lease.hasOthers, true);
    });
  });

  describe("pruneOnce", () => {
    it("makes the days ahead and drops those whose retention is over, with what is in them", async () => {
      const job = await aRunningJob(db, laneId, await aWorker(db));
      await jobSucceed(db, [
        { jobId: job.id, attempt: job.attempt, result: undefined, durationMs: 0 },
      ]);
      await db.query(sql`
        create table baton.job_ended_20200101 partition of baton.job_ended
          for values from ('2020-01-01 00:00:00+00') to ('2020-01-02 00:00:00+00')`);

      const dropped = await pruneOnce(db, { finishedDays: 7, deadDays: 30 });

      assert.deepEqual(dropped, ["job_ended_20200101"]);
      assert.equal((await jobGet(db, job.id))?.state, "succeeded");
      const [ahead] = await db.query<{ count: number }>(sql`
        select count(*) as count from pg_class
         where relname = 'event_' || to_char((baton.clock() at time zone 'UTC')::date + 3, 'YYYYMMDD')`);
      assert.deepEqual(ahead, { count: 1 });
    });

    it("remembers up to where events were dropped", async () => {
      await db.query(sql`
        create table baton.event_20200101 partition of baton.event
          for values from ('2020-01-01 00:00:00+00') to ('2020-01-02 00:00:00+00')`);
      await db.query(sql`
        insert into baton.event (sequence, at, state, job_ids, lane_ids, attempts)
        values (17, '2020-01-01 12:00:00+00', 'queued', '{}', '{}', '{}')`);

      await pruneOnce(db, { finishedDays: 7, deadDays: 30 });

      assert.equal(await eventFloor(db), 17);
    });

    it("forgets idempotency keys that expired", async () => {
      await db.query(sql`
        insert into baton.idempotency (namespace_id, key, fingerprint, job_id, expires_at)
        values (1, 'old', 'f', gen_random_uuid(), baton.clock() - interval '1 s'),
               (1, 'new', 'f', gen_random_uuid(), baton.clock() + interval '1 h')`);

      await pruneOnce(db, { finishedDays: 7, deadDays: 30 });

      const keys = await db.query<{ key: string }>(
        sql`select key from baton.idempotency order by key`,
      );
      assert.deepEqual(keys, [{ key: "new" }]);
    });
  });
});
