import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";

import { aLane, aNewJob } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { until } from "../../test/until.ts";
import type { Database } from "../store/db.ts";
import { jobInsertPlain } from "../store/job-enqueue.ts";
import { sql } from "../store/sql.ts";
import { jobWaste } from "../store/vacuum.ts";
import { Vacuumer, type VacuumerOptions } from "./vacuumer.ts";

const MANY = 25_000;
const LARGE_BYTES = 64 * 2 ** 20;
/** How long passes seem to take that are followed by no rest. */
const WITHOUT_REST = 0;

describe("Vacuumer", () => {
  it("leaves a table with few dead rows alone", async (t) => {
    const { db, vacuumer } = await aVacuumer(t);
    await leaveDeadRows(db, 1_000);

    assert.equal(await vacuumer.passOnce(), false);
    assert.equal(await deadCount(db), 1_000);
  });

  it("removes dead rows when there are many", async (t) => {
    const { db, vacuumer } = await aVacuumer(t);
    await leaveDeadRows(db, MANY);

    assert.equal(await vacuumer.passOnce(), true);
    assert.equal(await deadCount(db), 0);
    assert.equal(await vacuumer.passOnce(), false);
  });

  it("leaves a large table its size while many jobs change, and makes it small when few do", async (t) => {
    const { db, vacuumer } = await aVacuumer(t);
    await leaveDeadRows(db, MANY, "x".repeat(1_800));
    const fullBytes = await tableBytes(db);

    assert.equal(await vacuumer.passOnce(), true);
    assert.deepEqual([await deadCount(db), await tableBytes(db)], [0, fullBytes]);
    assert.equal(await vacuumer.passOnce(), true);
    assert.deepEqual([fullBytes > LARGE_BYTES, await tableBytes(db)], [true, 0]);
  });

  it("does not look again soon at a large table that is full", async (t) => {
    const { db, vacuumer } = await aVacuumer(t);
    const laneId = await aLane(db);
    const input = JSON.stringify("x".repeat(1_800));
    const jobs = Array.from({ length: MANY }, () => aNewJob(laneId, { input }));
    await jobInsertPlain(db, [], jobs);
    await db.query(sql`select pg_stat_force_next_flush()`);
    const fullBytes = await tableBytes(db);

    assert.equal(await vacuumer.passOnce(), true);
    assert.equal(await vacuumer.passOnce(), false);
    assert.deepEqual([fullBytes > LARGE_BYTES, await tableBytes(db)], [true, fullBytes]);
  });

  it("makes no other pass while the same snapshot is in its way, and one when that is gone", async (t) => {
    const { db, vacuumer } = await aVacuumer(t, WITHOUT_REST);
    const client = await aSnapshot(db);
    await leaveDeadRows(db, MANY);
    await beginTransactions(db, 200);

    assert.equal(await vacuumer.passOnce(), true);
    assert.equal(await deadCount(db), MANY);
    await beginTransactions(db, 1);
    assert.equal(await vacuumer.passOnce(), false);

    await client.end();
    await until(async () => ((await jobWaste(db))[0]?.snapshot_age ?? 0) < 100);
    assert.equal(await vacuumer.passOnce(), true);
    assert.equal(await deadCount(db), 0);
  });

  it("tries again after its rest when it cannot see what is in its way", async (t) => {
    const { db, vacuumer } = await aVacuumer(t, WITHOUT_REST);
    const client = await aSnapshot(db);
    await leaveDeadRows(db, MANY);

    assert.equal(await vacuumer.passOnce(), true);
    assert.equal(await vacuumer.passOnce(), true);
    await client.end();
  });

  it("rests after a pass that took long", async (t) => {
    const { db, vacuumer } = await aVacuumer(t);
    await leaveDeadRows(db, MANY);
    assert.equal(await vacuumer.passOnce(), true);

    await leaveDeadRows(db, MANY);

    assert.equal(await vacuumer.passOnce(), false);
    assert.equal(await deadCount(db), MANY);
  });

  it("rests after a pass that failed, and tells so", async (t) => {
    const { db, options } = await aVacuumer(t);
    await leaveDeadRows(db, MANY);
    const refusing = { ...db, connect: () => Promise.reject(new Error("too many connections")) };
    const vacuumer = new Vacuumer({ ...options, db: refusing });

    await assert.rejects(vacuumer.passOnce(), /too many connections/);
    assert.equal(await vacuumer.passOnce(), false);
  });

  it("ends a pass that is under way when the server stops", async (t) => {
    const stopping = new AbortController();
    const { db, vacuumer } = await aVacuumer(t, 10_000, stopping.signal);
    await leaveDeadRows(db, MANY);
    // A page each 100 ms: minutes, if it is not ended.
    await db.query(sql`
      do $$ begin
        execute format('alter database %I set vacuum_cost_delay = 100', current_database());
        execute format('alter database %I set vacuum_cost_limit = 1', current_database());
      end $$`);

    const passing = vacuumer.passOnce();
    await until(async () => (await db.query(sql`select from pg_stat_progress_vacuum`)).length > 0);
    stopping.abort();
    await passing;

    assert.ok(((await deadCount(db)) ?? 0) > 0);
  });
});

/** @param passMs how long each pass seems to take */
async function aVacuumer(
  t: TestContext,
  passMs = 10_000,
  signal = new AbortController().signal,
): Promise<{
  readonly db: Database;
  readonly options: VacuumerOptions;
  readonly vacuumer: Vacuumer;
}> {
  const db = await aDatabase(t);
  let nowMs = 0;
  const now = (): number => (nowMs += passMs);
  const onNotice = (message: string): void => assert.fail(message);
  const options = { db, signal, now, onNotice };
  return { db, options, vacuumer: new Vacuumer(options) };
}

/** Held until the client ends. */
async function aSnapshot(db: Database): Promise<{ readonly end: () => Promise<void> }> {
  const client = await db.connect("report");
  await client.query("begin isolation level repeatable read");
  await client.query("select count(*) from baton.job");
  return client;
}

/** @param text of each job's input */
async function leaveDeadRows(db: Database, count: number, text = ""): Promise<void> {
  const laneId = await aLane(db);
  const input = JSON.stringify(text);
  const jobs = Array.from({ length: count }, () => aNewJob(laneId, { input }));
  await db.transaction(async (tx) => {
    for (let first = 0; first < count; first += 5_000) {
      await jobInsertPlain(tx, [], jobs.slice(first, first + 5_000));
    }
    await tx.query(sql`delete from baton.job`);
    // Statistics are told at most once a second otherwise.
    await tx.query(sql`select pg_stat_force_next_flush()`);
  });
}

async function beginTransactions(db: Database, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await db.query(sql`select pg_current_xact_id()`);
}

async function tableBytes(db: Database): Promise<number> {
  return (await jobWaste(db))[0]?.table_bytes ?? 0;
}

async function deadCount(db: Database): Promise<number | undefined> {
  return (await jobWaste(db))[0]?.dead_count;
}
