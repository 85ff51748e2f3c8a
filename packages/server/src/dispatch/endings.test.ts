import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";

import { aDatabase } from "../../test/database.ts";
import { fenceOf } from "../domain/job.ts";
import type { Database, Db } from "../store/db.ts";
import { jobInsert } from "../store/job-enqueue.ts";
import { serverStart } from "../store/server.ts";
import { workerAttach } from "../store/worker.ts";
import { Endings } from "./endings.ts";
import { Lanes } from "./lanes.ts";
import { Outcomes } from "./outcomes.ts";
import { WorkerSession, type JobDelivery } from "./worker-session.ts";
import { Workers } from "./workers.ts";

const REF = { jobId: "01968d34-5a3e-7000-8a2b-3c4d5e6f7a8b", attempt: 1 };
const FENCE = fenceOf(REF.jobId, REF.attempt);

describe("Endings", () => {
  it("knows an attempt until its outcome stands in the table", () => {
    const endings = new Endings();

    endings.add(REF);
    assert.equal(endings.fences().has(FENCE), true);
    endings.delete(REF);
    assert.equal(endings.fences().has(FENCE), false);
  });

  it("knows an attempt longer while somebody reads the table", () => {
    const endings = new Endings();
    endings.add(REF);

    endings.beginReading();
    endings.delete(REF);
    assert.equal(endings.fences().has(FENCE), true);
    endings.endReading();
    assert.equal(endings.fences().has(FENCE), false);
  });

  it("does not take another attempt of the job for it", () => {
    const endings = new Endings();

    endings.add(REF);

    assert.equal(endings.fences().has(fenceOf(REF.jobId, 2)), false);
  });
});

describe("Workers.reconcile", () => {
  it("does not deliver an attempt again whose outcome is written while it reads", async (t) => {
    const db = await aDatabase(t);
    const slow = slowAnswers(db);
    const { workers, outcomes, session, deliveries, jobId } = await aWorkerWithAJob(slow.db);
    slow.hold();

    workers.reconcile(session.id);
    await slow.held;
    // Meanwhile, on another connection.
    const stale = await outcomes(db).report(session, [{ jobId, attempt: 1, kind: "succeeded" }]);
    slow.letGo();
    while (!session.isReady) await nextTurn();

    assert.deepEqual(stale, []);
    assert.deepEqual(
      deliveries.map((job) => job.id),
      [jobId],
    );
  });
});

/** A database whose answers can be held up after the statement has run. */
function slowAnswers(db: Database) {
  const held = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  let isHolding = false;
  const query: Db["query"] = async (statement, name) => {
    const rows = await db.query<never>(statement, name);
    if (isHolding) {
      held.resolve();
      await go.promise;
    }
    return rows;
  };
  return {
    db: { ...db, query },
    held: held.promise,
    hold: () => {
      isHolding = true;
    },
    letGo: () => go.resolve(),
  };
}

async function aWorkerWithAJob(db: Database) {
  const lanes = new Lanes(db, () => undefined);
  await lanes.load();
  const lane = await lanes.ensure("default", "t");
  const serverId = await serverStart(db, "s", "0");
  const instance = REF.jobId;
  const described = { instance, name: "w", host: "h", pid: 1, sdk: "s", slots: 1, leaseMs: 8_000 };
  const key = await workerAttach(db, {
    ...described,
    serverId,
    tasks: ["t"],
    queues: ["default"],
    labels: {},
  });
  const plain = { laneId: lane.id, priority: 0, maxAttempts: 3, input: "null", extra: undefined };
  await jobInsert(db, [{ ...plain, id: REF.jobId, workerId: key.id }], false);

  const onError = (error: unknown): void => assert.fail(String(error));
  const now = (): number => performance.now();
  const deliveries: JobDelivery[] = [];
  const sink = {
    jobs: (jobs: readonly JobDelivery[]) => void deliveries.push(...jobs),
    stop: () => assert.fail("nothing is to be stopped"),
    isFull: false,
    goodbye: () => assert.fail("nobody is to be sent away"),
  };
  const session = new WorkerSession({ ...described, key, prefetch: 0, sink, nowMs: now() });
  const ignore = (): void => undefined;
  const workers = new Workers({
    db,
    lanes: () => lanes,
    onFree: ignore,
    onHeld: ignore,
    now,
    onError,
  });
  await workers.join(session, ["t"], ["default"], [], ignore);
  const outcomes = (own: Database): Outcomes =>
    new Outcomes({
      db: own,
      lanes,
      onQueued: ignore,
      onScheduled: ignore,
      onChanged: ignore,
      onStarted: ignore,
      now,
      random: () => 0,
      onError,
    });
  return { workers, outcomes, session, deliveries, jobId: REF.jobId };
}
