import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { aLane, aNewJob, aWorker, present } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { JOB_STATES, OUTCOMES } from "../domain/job.ts";
import type { Database } from "./db.ts";
import { jobInsert, jobInsertPlain, jobPresent } from "./job-enqueue.ts";
import { jobGet } from "./job-read.ts";
import { queuePause } from "./lane.ts";
import { sql } from "./sql.ts";

describe("jobInsert", () => {
  let db: Database;
  let laneId: number;
  const cleanup = suiteCleanup();
  before(async () => {
    db = await aDatabase(cleanup);
    laneId = await aLane(db);
  });

  it("queues a job, and has nothing to tell about it", async () => {
    const job = aNewJob(laneId, { priority: 7, input: '{"a":1}' });

    const told = await jobInsert(db, [job], false);

    const stored = present(await jobGet(db, job.id));
    assert.deepEqual(told, []);
    assert.deepEqual(
      [stored.state, stored.priority, stored.input, stored.attempt, stored.maxAttempts],
      ["queued", 7, '{"a":1}', 0, 3],
    );
  });

  it("inserts a job that brings a worker as running, attempt 1", async () => {
    const job = aNewJob(laneId, { workerId: await aWorker(db) });

    await jobInsert(db, [job], false);

    const stored = present(await jobGet(db, job.id));
    assert.deepEqual([stored.state, stored.attempt, stored.worker], ["running", 1, "test-worker"]);
  });

  it("queues a job that brings a worker while its queue is paused, and tells so", async () => {
    const pausedLaneId = await aLane(db, "paused");
    await queuePause(db, 1, "paused", undefined);
    const job = aNewJob(pausedLaneId, { workerId: await aWorker(db) });

    const told = await jobInsert(db, [job], false);

    assert.deepEqual(told, [{ id: job.id, state: "queued" }]);
  });

  it("schedules a job whose start lies ahead, and tells so", async () => {
    const delayed = aNewJob(laneId, { extra: { delayMs: 60_000 } });
    const past = aNewJob(laneId, { extra: { runAt: new Date(0) } });

    const told = await jobInsert(db, [delayed, past], false);

    assert.deepEqual(told, [{ id: delayed.id, state: "scheduled" }]);
    assert.equal((await jobGet(db, past.id))?.state, "queued");
  });

  it("gives queue positions in the order of the batch", async () => {
    const jobs = Array.from({ length: 200 }, () => aNewJob(laneId));

    await jobInsert(db, jobs, false);

    assert.deepEqual(
      await idsInQueueOrder(db, jobs),
      jobs.map((job) => job.id),
    );
  });

  it("keeps what few jobs have", async () => {
    const extra = {
      tags: ["a b", 'quote " and \\'],
      uniqueKey: "1:only",
      inputContentType: "text/plain",
      options: { attemptTimeoutMs: 5 },
    };
    const job = aNewJob(laneId, { extra });

    await jobInsert(db, [job], false);

    const stored = present(await jobGet(db, job.id));
    assert.deepEqual(
      [stored.tags, stored.uniqueKey, stored.inputContentType, stored.attemptTimeoutMs],
      [extra.tags, "only", "text/plain", 5],
    );
  });

  it("passes over rows that exist when told to skip conflicts", async () => {
    const [first, second] = [aNewJob(laneId), aNewJob(laneId)];
    await jobInsert(db, [first], false);

    const inserted = await jobInsert(db, [first, second], true);

    assert.deepEqual(
      inserted.map((row) => row.id),
      [second.id],
    );
  });

  it("writes one event for each state of the batch, in the same transaction", async () => {
    const jobs = [aNewJob(laneId), aNewJob(laneId), aNewJob(laneId, { extra: { delayMs: 1_000 } })];
    const [first, second, delayed] = jobs.map((job) => job.id);

    await jobInsert(db, jobs, false);

    assert.deepEqual(await eventsOf(db, jobs), [
      { state: "scheduled", job_ids: [delayed], lane_ids: [laneId], attempts: [0] },
      { state: "queued", job_ids: [first, second], lane_ids: [laneId, laneId], attempts: [0, 0] },
    ]);
  });

  it("knows the same states and outcomes as the code", async () => {
    const [labels] = await db.query<{ states: string[]; outcomes: string[] }>(sql`
      select enum_range(null::baton.job_state)::text[] as states, enum_range(null::baton.outcome)::text[] as outcomes`);

    assert.deepEqual(labels, { states: [...JOB_STATES], outcomes: [...OUTCOMES] });
  });

  it("refuses a queued row that no lease would find", async () => {
    const insert = db.query(sql`
      insert into baton.job (id, lane_id, state, is_in_line, priority, max_attempts, input)
      values (gen_random_uuid(), ${laneId}, 'queued', false, 0, 1, 'null')`);

    await assert.rejects(insert, /queued_means_in_line/);
  });

  it("refuses a live row in a final state", async () => {
    const insert = db.query(sql`
      insert into baton.job (id, lane_id, state, is_in_line, priority, max_attempts, input)
      values (gen_random_uuid(), ${laneId}, 'succeeded', false, 0, 1, 'null')`);

    await assert.rejects(insert, /live_jobs_only/);
  });
});

describe("jobInsertPlain", () => {
  let db: Database;
  let laneId: number;
  let workerId: number;
  const cleanup = suiteCleanup();
  before(async () => {
    db = await aDatabase(cleanup);
    laneId = await aLane(db);
    workerId = await aWorker(db);
  });

  it("inserts jobs that bring a worker as running, attempt 1, and the others as queued", async () => {
    const leased = aNewJob(laneId, { workerId, priority: 7, input: '{"a":1}' });
    const queued = aNewJob(laneId, { maxAttempts: 9, input: "null" });

    assert.equal(await jobInsertPlain(db, [leased], [queued]), true);

    const rows = [leased, queued].map(async ({ id }) => present(await jobGet(db, id)));
    assert.deepEqual(
      (await Promise.all(rows)).map((row) => [
        row.state,
        row.attempt,
        row.worker,
        row.priority,
        row.maxAttempts,
        row.input,
        row.startedAt === undefined,
      ]),
      [
        ["running", 1, "test-worker", 7, 3, '{"a":1}', false],
        ["queued", 0, undefined, 0, 9, "null", true],
      ],
    );
  });

  it("gives queue positions in the order of the batch", async () => {
    const jobs = Array.from({ length: 200 }, () => aNewJob(laneId));

    await jobInsertPlain(db, [], jobs);

    assert.deepEqual(
      await idsInQueueOrder(db, jobs),
      jobs.map((job) => job.id),
    );
  });

  it("inserts nothing while the queue of a leased one is paused", async () => {
    const pausedLaneId = await aLane(db, "paused");
    await queuePause(db, 1, "paused", undefined);
    const leased = aNewJob(pausedLaneId, { workerId });
    const queued = aNewJob(laneId);

    assert.equal(await jobInsertPlain(db, [leased], [queued]), false);

    assert.deepEqual(await jobPresent(db, [leased.id, queued.id]), []);
    assert.deepEqual(await eventsOf(db, [leased, queued]), []);
  });

  it("queues jobs of a paused queue", async () => {
    const pausedLaneId = await aLane(db, "paused-too");
    await queuePause(db, 1, "paused-too", undefined);
    const job = aNewJob(pausedLaneId);

    assert.equal(await jobInsertPlain(db, [], [job]), true);

    assert.deepEqual(await jobPresent(db, [job.id]), [{ id: job.id, state: "queued" }]);
  });

  it("writes one event for each state of the batch, in the same transaction", async () => {
    const [first, second] = [aNewJob(laneId, { workerId }), aNewJob(laneId, { workerId })];
    const [third, fourth] = [aNewJob(laneId), aNewJob(laneId)];

    await jobInsertPlain(db, [first, second], [third, fourth]);

    assert.deepEqual(await eventsOf(db, [first, second, third, fourth]), [
      {
        state: "queued",
        job_ids: [third.id, fourth.id],
        lane_ids: [laneId, laneId],
        attempts: [0, 0],
      },
      {
        state: "running",
        job_ids: [first.id, second.id],
        lane_ids: [laneId, laneId],
        attempts: [1, 1],
      },
    ]);
  });
});

/** Events of these jobs, also those that the horizon of a transaction in another database hides from readers yet. */
function eventsOf(
  db: Database,
  jobs: readonly { readonly id: string }[],
): Promise<readonly object[]> {
  return db.query(sql`
    select state, job_ids, lane_ids, attempts
      from baton.event
     where job_ids && ${jobs.map((job) => job.id)}::uuid[]
     order by sequence`);
}

async function idsInQueueOrder(
  db: Database,
  jobs: readonly { readonly id: string }[],
): Promise<readonly string[]> {
  const rows = await db.query<{ id: string }>(sql`
    select id from baton.job where id = any(${jobs.map((job) => job.id)}::uuid[]) order by queue_position`);
  return rows.map((row) => row.id);
}
