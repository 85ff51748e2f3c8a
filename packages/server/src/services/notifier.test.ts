import assert from "node:assert/strict";
import { before, describe, it, type TestContext } from "node:test";

import { aTroubledDatabase } from "../../test/a-dispatch.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { until } from "../../test/until.ts";
import { newJobId } from "../domain/job-id.ts";
import type { Database } from "../store/db.ts";
import { notify } from "../store/event.ts";
import { sql } from "../store/sql.ts";
import { Notifier, runListener, type WakeUp } from "./notifier.ts";

/** PostgreSQL refuses payloads of 8,000 bytes. */
const PAYLOAD_BYTES_MAX = 7_999;
const THIS_SERVER = 1;
const OTHER_SERVER = 2;

describe("wake-ups between servers", () => {
  const cleanup = suiteCleanup();
  let db: Database;
  before(async () => {
    db = await aDatabase(cleanup);
  });

  const theNotifier = (
    t: TestContext,
    different: { readonly db?: Database; readonly hasOthers?: boolean } = {},
  ) => {
    const errors: unknown[] = [];
    const notifier = new Notifier({
      db: different.db ?? db,
      serverId: () => THIS_SERVER,
      hasOthers: () => different.hasOthers ?? true,
      onError: (error) => errors.push(error),
    });
    t.after(() => notifier.close());
    return { notifier, errors };
  };

  /** Another server, from when it listens. */
  const aListener = async (
    t: TestContext,
    different: { readonly db?: Database; readonly serverId?: number } = {},
  ) => {
    const heard: WakeUp[] = [];
    const errors: unknown[] = [];
    const stopping = new AbortController();
    let connections = 0;
    const running = runListener({
      db: different.db ?? db,
      serverId: () => different.serverId ?? OTHER_SERVER,
      onWakeUp: (wakeUp) => heard.push(wakeUp),
      onConnected: () => {
        connections += 1;
      },
      signal: stopping.signal,
      onError: (error) => errors.push(error),
    });
    t.after(async () => {
      stopping.abort();
      await running;
    });
    await until(() => connections === 1);
    return { heard, errors, stopping, running, connections: () => connections };
  };

  /** Everything that is sent, as it is sent. */
  const thePayloads = async (t: TestContext): Promise<readonly string[]> => {
    const payloads: string[] = [];
    const client = await db.connect("test");
    t.after(() => client.end());
    client.on("notification", ({ payload = "" }) => payloads.push(payload));
    await client.query("listen baton");
    return payloads;
  };

  describe("Notifier", () => {
    it("makes one message of everything of a kind that is told within a moment", async (t) => {
      const payloads = await thePayloads(t);
      const { notifier, errors } = theNotifier(t);

      for (let call = 0; call < 50; call += 1) {
        notifier.lanes([call % 5, 7]);
        notifier.pauseChanged();
        notifier.tasks(["one", "two"]);
      }
      await until(() => payloads.length === 3);

      assert.deepEqual(
        payloads.map((payload): unknown => JSON.parse(payload)),
        [
          { server: THIS_SERVER, lanes: [0, 7, 1, 2, 3, 4] },
          { server: THIS_SERVER, tasks: ["one", "two"] },
          { server: THIS_SERVER, isPauseChanged: true },
        ],
      );
      assert.deepEqual(errors, []);
    });

    it("says everything once, and what comes later in a message of its own", async (t) => {
      const { heard } = await aListener(t);
      const { notifier } = theNotifier(t);

      notifier.lanes([1]);
      await until(() => heard.length === 1);
      notifier.lanes([2]);
      await until(() => heard.length === 2);

      assert.deepEqual(
        heard.map((wakeUp) => wakeUp.lanes),
        [[1], [2]],
      );
    });

    it("splits what is more than PostgreSQL takes in one message", async (t) => {
      const payloads = await thePayloads(t);
      const { heard } = await aListener(t);
      const { notifier, errors } = theNotifier(t);
      const lanes = Array.from({ length: 2_000 }, (_, index) => 2_147_483_647 - index);
      const tasks = Array.from({ length: 200 }, (_, index) => `${index}`.padStart(128, "t"));
      const jobIds = Array.from({ length: 50 }, () => newJobId(Date.now()));

      notifier.lanes(lanes);
      notifier.tasks(tasks);
      // What takes most room in JSON: six bytes for each character.
      for (const jobId of jobIds) notifier.stop(jobId, 100_000, 2 ** 52, "\u0001".repeat(1_000));
      const all = <Item>(part: (wakeUp: WakeUp) => readonly Item[] | undefined): Item[] =>
        heard.flatMap((wakeUp) => part(wakeUp) ?? []);
      await until(
        () =>
          errors.length > 0 ||
          (all((wakeUp) => wakeUp.lanes).length === lanes.length &&
            all((wakeUp) => wakeUp.tasks).length === tasks.length &&
            all((wakeUp) => wakeUp.stops).length === jobIds.length),
      );

      assert.deepEqual(errors, []);
      assert.ok(Math.max(...payloads.map((text) => Buffer.byteLength(text))) <= PAYLOAD_BYTES_MAX);
      assert.deepEqual(
        all((wakeUp) => wakeUp.lanes),
        lanes,
      );
      assert.deepEqual(
        all((wakeUp) => wakeUp.tasks),
        tasks,
      );
      assert.deepEqual(
        all((wakeUp) => wakeUp.stops).map(([jobId, attempt, workerId]) => [
          jobId,
          attempt,
          workerId,
        ]),
        jobIds.map((jobId) => [jobId, 100_000, 2 ** 52]),
      );
    });

    it("sends nothing while no other server lives", async (t) => {
      const payloads = await thePayloads(t);
      const alone = theNotifier(t, { hasOthers: false }).notifier;
      const { notifier } = theNotifier(t);

      alone.lanes([1]);
      alone.tasks(["one"]);
      alone.pauseChanged();
      alone.stop(newJobId(Date.now()), 1, 1, "because");
      notifier.lanes([2]);
      await until(() => payloads.length > 0);

      assert.deepEqual(payloads, [JSON.stringify({ server: THIS_SERVER, lanes: [2] })]);
    });

    it("tells of a message that could not be sent, and sends the next one", async (t) => {
      const { heard } = await aListener(t);
      const troubled = aTroubledDatabase(db);
      const { notifier, errors } = theNotifier(t, { db: troubled });
      const failure = new Error("no notification today");

      troubled.refuse("", failure);
      notifier.lanes([1]);
      await until(() => errors.length === 1);
      notifier.lanes([2]);
      await until(() => heard.length === 1);

      assert.deepEqual(errors, [failure]);
      assert.deepEqual(heard[0]?.lanes, [2]);
    });
  });

  describe("runListener", () => {
    it("hears others, not itself", async (t) => {
      const itself = await aListener(t, { serverId: THIS_SERVER });
      const other = await aListener(t);

      await notify(db, JSON.stringify({ server: THIS_SERVER, lanes: [1] }));
      await notify(db, JSON.stringify({ server: OTHER_SERVER, lanes: [2] }));
      await until(() => itself.heard.length === 1 && other.heard.length === 1);

      assert.deepEqual(itself.heard, [{ server: OTHER_SERVER, lanes: [2] }]);
      assert.deepEqual(other.heard, [{ server: THIS_SERVER, lanes: [1] }]);
    });

    it("ignores what is not from a server of Baton", async (t) => {
      const { heard, errors } = await aListener(t);

      for (const garbage of [
        "",
        "not JSON",
        "null",
        "[]",
        '"text"',
        "{}",
        '{"server":"1"}',
        '{"server":1,"lanes":["1"]}',
        '{"server":1,"lanes":{}}',
        '{"server":1,"stops":[["id",1,1]]}',
        '{"server":1,"tasks":[null]}',
        '{"server":1,"isPauseChanged":1}',
      ])
        await notify(db, garbage);
      await notify(db, JSON.stringify({ server: THIS_SERVER, lanes: [9], unknown: true }));
      await until(() => heard.length > 0);

      assert.deepEqual(heard, [{ server: THIS_SERVER, lanes: [9] }]);
      assert.deepEqual(errors, []);
    });

    it("connects anew when its connection breaks, and says so", async (t) => {
      const { heard, connections } = await aListener(t);

      await db.query(sql`
        select pg_terminate_backend(pid)
          from pg_stat_activity
         where application_name = 'baton-listener' and datname = current_database()`);
      await until(() => connections() === 2);
      await notify(db, JSON.stringify({ server: THIS_SERVER, lanes: [3] }));
      await until(() => heard.length === 1);

      assert.deepEqual(heard[0]?.lanes, [3]);
    });

    it("tells of a database that does not let it in, and tries again", async (t) => {
      const away = new Error("nobody there");
      let tries = 0;
      const connect: Database["connect"] = (name) => {
        tries += 1;
        return tries === 1 ? Promise.reject(away) : db.connect(name);
      };

      const { errors } = await aListener(t, { db: { ...db, connect } });

      assert.deepEqual(errors, [away]);
    });

    it("ends at once when it is stopped, also while it connects", async (t) => {
      const stopping = new AbortController();
      const { stopping: later, running } = await aListener(t);
      const starting = runListener({
        db,
        serverId: () => OTHER_SERVER,
        onWakeUp: () => assert.fail("nothing was sent"),
        onConnected: () => undefined,
        signal: stopping.signal,
        onError: (error) => assert.fail(String(error)),
      });

      later.abort();
      stopping.abort();

      await Promise.all([running, starting]);
    });
  });
});
