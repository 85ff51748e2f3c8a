import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { before, beforeEach, describe, it } from "node:test";

import { aDispatch, aTroubledDatabase, brokenConnection } from "../../test/a-dispatch.ts";
import type { Dispatch, TroubledDatabase } from "../../test/a-dispatch.ts";
import { present } from "../../test/a-job.ts";
import { aDelivery } from "../../test/a-session.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { until } from "../../test/until.ts";
import type { Database } from "../store/db.ts";
import { jobGet } from "../store/job-read.ts";
import { serverStart } from "../store/server.ts";
import { workerList } from "../store/worker.ts";
import { Notes } from "./notes.ts";
import type { WorkerConnection } from "./worker-connection.ts";
import { WorkerDoor } from "./worker-door.ts";

const LEASE_MS = 2_000;
const IDLE_MS_MAX = 6_000;
/** Statements without a name: that which books a worker out is one. */
const UNNAMED = "";

describe("WorkerDoor", () => {
  const cleanup = suiteCleanup();
  let database: Database;
  let db: TroubledDatabase;
  let nowMs = 0;
  let silentCount = 0;
  let dispatch: Dispatch;
  let door: WorkerDoor;
  before(async () => {
    database = await aDatabase(cleanup);
  });
  beforeEach(async (t) => {
    db = aTroubledDatabase(database);
    nowMs = 0;
    silentCount = 0;
    const now = () => nowMs;
    dispatch = await aDispatch(db, cleanup, { now });
    const serverId = await serverStart(db, t.name, "0.0.0");
    const notes = new Notes({
      db,
      onChanged: () => undefined,
      onError: (error) => assert.fail(String(error)),
    });
    door = new WorkerDoor({
      ...dispatch,
      db,
      notes,
      serverId: () => serverId,
      renewedAgoMs: () => 0,
      onTasks: () => undefined,
      onReleased: async () => undefined,
      onSilent: () => (silentCount += 1),
      now,
    });
  });

  interface Connected {
    readonly connection: WorkerConnection;
    readonly id: number;
    readonly instance: string;
    readonly goodbyes: readonly string[];
  }
  async function connected(): Promise<Connected> {
    const instance = randomUUID();
    const goodbyes: string[] = [];
    const connection = await door.connect(
      {
        instance,
        name: "played",
        tasks: [{ name: "noop" }],
        queues: [],
        slots: 1,
        prefetch: 0,
        labels: {},
        host: "localhost",
        pid: 1,
        sdk: "test/0",
        leaseMs: LEASE_MS,
        held: [],
      },
      {
        isFull: false,
        jobs: () => undefined,
        stop: () => undefined,
        goodbye: (reason) => goodbyes.push(reason),
      },
      () => undefined,
    );
    const session = [...dispatch.workers.all()].find((one) => one.instance === instance);
    return { connection, id: present(session).id, instance, goodbyes };
  }
  const stateOf = async ({ instance }: Connected) =>
    (await workerList(database)).find((worker) => worker.id === instance)?.state;

  describe("dropSilentOnce", () => {
    it("leaves a worker alone that holds nothing and rests", async () => {
      const worker = await connected();
      nowMs = IDLE_MS_MAX;

      await door.dropSilentOnce();

      assert.deepEqual([worker.goodbyes, await stateOf(worker), silentCount], [[], "active", 0]);
    });

    it("books a worker out that holds nothing and is silent for longer than it may rest", async () => {
      const worker = await connected();
      nowMs = IDLE_MS_MAX + 1;

      await door.dropSilentOnce();

      assert.deepEqual([worker.goodbyes, await stateOf(worker)], [["lease_expired"], "detached"]);
      assert.equal(silentCount, 1);
    });

    it("books a worker out a lease after it was given a job that it never answered", async () => {
      const worker = await connected();
      nowMs = IDLE_MS_MAX - 1;
      const lane = await dispatch.lane("default");
      for (const session of dispatch.workers.all()) session.hold(aDelivery(lane), nowMs);

      nowMs += LEASE_MS;
      await door.dropSilentOnce();
      const within = [...worker.goodbyes];
      nowMs += 1;
      await door.dropSilentOnce();

      assert.deepEqual([within, worker.goodbyes], [[], ["lease_expired"]]);
    });

    it("grants no lease to a heartbeat that comes while the worker is being booked out", async () => {
      const worker = await connected();
      nowMs = IDLE_MS_MAX + 1;
      const held = db.holdAnswer(UNNAMED);
      const dropping = door.dropSilentOnce();
      const goOn = await held;

      const leaseMs = worker.connection.heartbeat();
      goOn();
      await dropping;

      assert.deepEqual([leaseMs, worker.goodbyes], [0, ["lease_expired"]]);
    });

    it("books a worker out at the next pass when the database was away, whatever it said meanwhile", async () => {
      const worker = await connected();
      nowMs = IDLE_MS_MAX + 1;
      db.loseAnswer(UNNAMED, brokenConnection());
      await assert.rejects(door.dropSilentOnce());

      worker.connection.heartbeat();
      await door.dropSilentOnce();

      assert.deepEqual([worker.goodbyes, await stateOf(worker)], [["lease_expired"], "detached"]);
    });
  });

  describe("a worker that leaves in good order", () => {
    /** Hands the worker a job that a statement leased for it. */
    const given = async ({ id }: Connected) => {
      const lane = await dispatch.lane("default");
      const jobId = await dispatch.holds(id, lane);
      dispatch.workers.reconcile(id);
      await until(() => dispatch.workers.byId(id)?.find(jobId, 1) !== undefined);
      return jobId;
    };
    const jobState = async (id: string) => (await jobGet(database, id))?.state;

    it("gives back what it was given after it said that it drains: it has not seen that", async () => {
      const worker = await connected();
      worker.connection.drain();
      const jobId = await given(worker);

      await worker.connection.closed(true);

      assert.deepEqual([await stateOf(worker), await jobState(jobId)], ["gone", "queued"]);
    });

    it("keeps what it was given before: it may have started that", async () => {
      const worker = await connected();
      const jobId = await given(worker);
      worker.connection.drain();

      await worker.connection.closed(true);

      assert.deepEqual([await stateOf(worker), await jobState(jobId)], ["detached", "running"]);
    });
  });
});
