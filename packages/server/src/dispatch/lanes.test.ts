import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import {
  aTroubledDatabase,
  brokenConnection,
  type TroubledDatabase,
} from "../../test/a-dispatch.ts";
import { aLane, present } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { BULK_JOBS_MAX, LANES_MAX, QUEUES_MAX } from "../domain/limits.ts";
import type { Database } from "../store/db.ts";
import {
  laneCreate,
  nameCounts,
  queueCreate,
  queueFind,
  queuePause,
  taskPut,
} from "../store/lane.ts";
import { sql } from "../store/sql.ts";
import type { Lane } from "./lane.ts";
import { Lanes } from "./lanes.ts";

/** Most statements of ours have no name. */
const ANY = "";

describe("Lanes", () => {
  const cleanup = suiteCleanup();
  let db: TroubledDatabase;
  before(async () => {
    db = aTroubledDatabase(await aDatabase(cleanup));
  });
  const aServer = (database: Database = db) => {
    const told: Lane[] = [];
    return { lanes: new Lanes(database, (lane) => told.push(lane)), told };
  };
  const statementsOf = async (work: () => Promise<unknown>): Promise<number> => {
    const earlier = db.count(ANY);
    await work();
    return db.count(ANY) - earlier;
  };

  it("makes a lane once for all who ask for it at the same time, and tells of it once", async () => {
    const { lanes, told } = aServer();

    const made = await Promise.all(Array.from({ length: 50 }, () => lanes.ensure("herd", "noop")));

    assert.deepEqual([new Set(made).size, told.length], [1, 1]);
    assert.equal(lanes.find("herd", "noop"), told[0]);
  });

  it("makes many lanes for many who ask, in as many statements as one for one", async () => {
    const { lanes } = aServer();

    const one = await statementsOf(() => lanes.ensure("lone", "noop"));
    const many = await statementsOf(() =>
      Promise.all(Array.from({ length: 500 }, (_, n) => lanes.ensure(`crowd-${n}`, "noop"))),
    );

    assert.equal(many, one);
  });

  it("makes as many lanes as a call has jobs, in as many statements as one", async () => {
    const { lanes } = aServer();
    const names = Array.from({ length: BULK_JOBS_MAX }, (_, n) => ({
      queue: `bulk-${n % 10}`,
      task: `t${n}`,
    }));

    const one = await statementsOf(() => lanes.ensure("lone-2", "noop"));
    const many = await statementsOf(() => lanes.ensureAll(names));

    assert.equal(many, one);
    assert.equal(names.filter(({ queue, task }) => !lanes.find(queue, task)).length, 0);
  });

  it("makes a lane once when two servers are asked at the same time", async () => {
    const [here, there] = [aServer(), aServer()];

    const [one, other] = await Promise.all([
      here.lanes.ensure("two", "noop"),
      there.lanes.ensure("two", "noop"),
    ]);

    assert.equal(one.id, other.id);
  });

  it("needs no statement for a lane that is known here, and one for a lane of another server", async () => {
    const { lanes } = aServer();
    const id = await aLane(db, "known");

    const first = await statementsOf(() => lanes.ensure("known", "noop"));
    const second = await statementsOf(() => lanes.ensure("known", "noop"));

    assert.deepEqual([first, second], [1, 0]);
    assert.equal(lanes.find("known", "noop")?.id, id);
  });

  it("finds what it made when the answer to its commit is lost", async () => {
    const { lanes } = aServer();
    db.loseCommit(brokenConnection());

    const lane = await lanes.ensure("lost-commit", "noop");

    assert.equal(lanes.byId(lane.id), lane);
  });

  it("waits for a database that is away, and calls it unavailable when it waits no more", async () => {
    const { lanes } = aServer();
    const stopping = aServer({ ...db, abandoned: AbortSignal.abort() }).lanes;

    for (const work of [
      (server: Lanes) => server.ensure("away", "noop"),
      (server: Lanes) => server.refusals([{ queue: "away-2", task: "noop" }]),
      (server: Lanes) => server.ensureQueue("away-3"),
      (server: Lanes) => server.requireTasks(new Set(["away"])),
    ]) {
      db.refuse(ANY, brokenConnection());
      await assert.rejects(work(stopping), { code: "unavailable" });
      db.refuse(ANY, brokenConnection());
      await work(lanes);
    }
  });

  it("names the field when a queue's name is not one", async () => {
    await assert.rejects(aServer().lanes.ensureQueue("no name"), {
      code: "invalid_argument",
      details: { field: "queue" },
    });
  });

  it("knows of a new lane that its queue is paused", async () => {
    const { lanes } = aServer();
    await lanes.ensureQueue("paused");
    await queuePause(db, 1, "paused", undefined);
    await lanes.loadPaused();

    assert.equal((await lanes.ensure("paused", "noop")).isPaused, true);
    assert.equal((await lanes.ensure("not-paused", "noop")).isPaused, false);
  });

  it("reads lanes by id that another server made, and passes over what is none", async () => {
    const { lanes } = aServer();
    const [one, other] = [await aLane(db, "by-id"), await aLane(db, "by-id-2")];

    const read = await lanes.resolve([other, 0, one]);

    assert.deepEqual(
      read.map((lane) => lane.queue),
      ["by-id-2", "by-id"],
    );
  });

  it("reads all tasks of a call in one statement, and says which are not defined", async () => {
    const { lanes } = aServer();
    await taskPut(db, 1, [{ name: "defined", maxAttempts: 7 }]);
    const names = new Set(["defined", ...Array.from({ length: 500 }, (_, n) => `nobody-${n}`)]);

    let missing: ReadonlyMap<string, Error> = new Map();
    const statements = await statementsOf(async () => {
      missing = await lanes.requireTasks(names);
    });

    assert.deepEqual([statements, missing.size, lanes.task("defined")?.maxAttempts], [1, 500, 7]);
    assert.match(
      present(missing.get("nobody-0")).message,
      /No worker has registered a task "nobody-0"/,
    );
  });

  describe("with as many queues as there may be, but two", () => {
    const own = suiteCleanup();
    let full: Database;
    let lanes: Lanes;
    before(async () => {
      full = await aDatabase(own);
      lanes = new Lanes(full, () => undefined);
      await queueCreate(
        full,
        1,
        Array.from({ length: QUEUES_MAX - 2 }, (_, n) => `q${n}`),
      );
    });

    it("refuses those new ones of a call that have no room, and makes none of the others", async () => {
      const names = ["new-1", "new-2", "new-3", "q0", "new-4", "new-1"].map((queue) => ({
        queue,
        task: "noop",
      }));

      const wouldBe = await lanes.refusals(names);
      const refusals = await lanes.ensureAll(names);

      for (const seen of [wouldBe, refusals]) {
        assert.deepEqual(
          seen.map((refusal) => refusal && [refusal.code, refusal.details["queue"]]),
          [
            undefined,
            undefined,
            ["resource_exhausted", "new-3"],
            undefined,
            ["resource_exhausted", "new-4"],
            undefined,
          ],
        );
      }
      assert.deepEqual(
        await queueFind(
          full,
          1,
          names.map(({ queue }) => queue),
        ),
        ["q0"],
      );
      assert.equal((await nameCounts(full, 1)).lanes, 0);
    });

    it("gives the last room to who asks first, and goes on using what there is", async () => {
      const asked = ["new-1", "new-2", "new-3", "q1"].map((queue) => lanes.ensure(queue, "noop"));
      const answers = await Promise.allSettled(asked);

      assert.deepEqual(
        answers.map(({ status }) => status),
        ["fulfilled", "fulfilled", "rejected", "fulfilled"],
      );
      await lanes.ensureQueue("q2");
      assert.equal((await lanes.ensure("new-1", "another")).task, "another");
      await assert.rejects(lanes.ensureQueue("new-4"), {
        code: "resource_exhausted",
        message: /no room for the new queue "new-4": 10000 queues/,
      });
    });
  });

  it("refuses a new pair of queue and task when there are as many as there may be, and keeps no queue of it", async () => {
    const own = await aDatabase(cleanup);
    await queueCreate(own, 1, ["q"]);
    await own.query(sql`
      insert into baton.lane (namespace_id, queue, task)
      select 1, 'q', 't' || n from generate_series(2, ${LANES_MAX}::integer) as n`);
    await laneCreate(own, 1, [{ queue: "q", task: "last" }]);
    const lanes = new Lanes(own, () => undefined);

    await assert.rejects(lanes.ensure("new", "t2"), {
      code: "resource_exhausted",
      message: /task "t2" in queue "new": 100000 pairs/,
    });
    assert.equal((await lanes.ensure("q", "last")).task, "last");
    assert.deepEqual(await queueFind(own, 1, ["new"]), []);
  });
});
