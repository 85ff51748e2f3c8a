/**
 * Jobs that are leased at the very moment at which their worker goes away. The database is held up in the middle of the
 * statement that leases, so that the moment lasts as long as it must.
 */
import assert from "node:assert/strict";
import { test } from "node:test";

import pg from "pg";

import type { Client } from "@baton/sdk";

import { aSite } from "../a-site.ts";
import { aServer } from "../server-process.ts";
import { aStage, type Stage } from "../stage.ts";
import { until } from "../until.ts";
import { WireWorker } from "../wire-worker.ts";

test("a job leased for a worker that takes its leave meanwhile runs on another one", async (t) => {
  const stage = aStage(t);
  const { database, client, address } = await aSite(stage);
  const leaving = await WireWorker.connect(stage, address);
  const hold = await holdUp(stage, database);
  const accepted = client.enqueue("wire");
  await hold.untilSomebodyWaits();

  leaving.send({ $case: "drain", value: {} });
  leaving.close();
  await leaving.ended;
  await untilWorker(client, leaving.hello.workerId, "gone");
  await hold.release();
  const job = await accepted;

  const other = await WireWorker.connect(stage, address);
  other.keepAlive();
  assert.equal((await other.job()).jobId, job.id);
});

test("a job leased for a worker that meanwhile came to another server reaches it there", async (t) => {
  const stage = aStage(t);
  const { database, client, address, url } = await aSite(stage);
  const second = await aServer(stage, url, { name: "second" });
  const here = await WireWorker.connect(stage, address);
  const hold = await holdUp(stage, database);
  const accepted = client.enqueue("wire");
  await hold.untilSomebodyWaits();

  // Its first stream stands still, as one does whose network is gone without a word.
  const there = await WireWorker.connect(stage, second.address, here.hello);
  there.keepAlive();
  await hold.release();
  const job = await accepted;

  const delivered = await there.job();
  assert.deepEqual([delivered.jobId, delivered.attempt], [job.id, 1]);
});

interface Hold {
  /** Resolves when a statement that changes jobs waits. */
  untilSomebodyWaits(): Promise<void>;
  /** Lets everything go on. */
  release(): Promise<void>;
}

/** Holds up every statement that changes jobs; those that only look go on. */
async function holdUp(stage: Stage, database: pg.ClientConfig): Promise<Hold> {
  const holder = new pg.Client(database);
  await holder.connect();
  stage.after(() => holder.end());
  await holder.query("begin");
  await holder.query("lock table baton.job in share row exclusive mode");
  return {
    untilSomebodyWaits: async () => {
      await until("a statement that waits", 10_000, async () => {
        const { rowCount } = await holder.query(
          "select from pg_locks where not granted and relation = 'baton.job'::regclass",
        );
        return rowCount === 0 ? undefined : true;
      });
    },
    release: async () => {
      await holder.query("rollback");
    },
  };
}

async function untilWorker(client: Client, id: string, state: string): Promise<void> {
  await until(`worker ${id} to be ${state}`, 10_000, async () => {
    const worker = (await client.workers()).find((view) => view.id === id);
    return worker?.state === state ? true : undefined;
  });
}
