import assert from "node:assert/strict";
import { before, beforeEach, describe, it } from "node:test";

import {
  aDispatch,
  aTroubledDatabase,
  brokenConnection,
  type Dispatch,
  type TroubledDatabase,
} from "../../test/a-dispatch.ts";
import { present } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import type { JobSpec, SubmitResult } from "../domain/job-spec.ts";
import { sql } from "../store/sql.ts";
import { Admission } from "./admission.ts";
import { KeyedIntake } from "./keyed-intake.ts";

const INSERT = "job_insert_skip";
/** JSON that PostgreSQL takes for no text. */
const UNFIT_INPUT = '"\0"';

describe("KeyedIntake", () => {
  const cleanup = suiteCleanup();
  let db: TroubledDatabase;
  let dispatch: Dispatch;
  let tests = 0;
  let queue = "";
  before(async () => {
    db = aTroubledDatabase(await aDatabase(cleanup));
    dispatch = await aDispatch(db, cleanup);
    await dispatch.lane("default", {});
  });
  beforeEach(async () => {
    tests += 1;
    queue = `keyed-${tests}`;
    await dispatch.lanes.ensure(queue, "noop");
  });
  /** Keys are this test's own. */
  const aSpec = ({ idempotencyKey, uniqueKey, ...different }: Partial<JobSpec> = {}): JobSpec => ({
    task: "noop",
    queue,
    input: "null",
    ...(idempotencyKey !== undefined && { idempotencyKey: `${queue} ${idempotencyKey}` }),
    ...(uniqueKey !== undefined && { uniqueKey: `${queue} ${uniqueKey}` }),
    ...different,
  });
  const submit = async (different: Partial<JobSpec>): Promise<SubmitResult> =>
    present((await dispatch.intake.submit([aSpec(different)]))[0]);
  const submitMany = (specs: readonly Partial<JobSpec>[]) =>
    dispatch.intake.submit(specs.map(aSpec));
  const inputs = async (): Promise<readonly string[]> => {
    const rows = await db.query<{ input: string }>(sql`
      select job.input
        from baton.job
        join baton.lane on lane.id = job.lane_id
       where lane.queue = ${queue}
       order by job.input`);
    return rows.map(({ input }) => input);
  };
  const insertsOf = async (work: () => Promise<unknown>): Promise<number> => {
    const earlier = db.count(INSERT);
    await work();
    return db.count(INSERT) - earlier;
  };

  describe("of single jobs", () => {
    it("accepts those with different keys that come together in one statement", async () => {
      const inserts = await insertsOf(() =>
        Promise.all(
          ["1", "2", "3"].map((key) => submit({ input: key, idempotencyKey: key, uniqueKey: key })),
        ),
      );

      assert.deepEqual([inserts, await inputs()], [1, ["1", "2", "3"]]);
    });

    it("accepts the first of those with one key that come together, and answers the others with it", async () => {
      const answers = await Promise.all([
        submit({ idempotencyKey: "k" }),
        submit({ idempotencyKey: "k" }),
        submit({ idempotencyKey: "other" }),
        submit({ idempotencyKey: "k" }),
      ]);

      const [first, second, other, third] = answers.map(present);
      assert.deepEqual(
        answers.map(({ isDuplicate, state }) => [isDuplicate, state]),
        [
          [false, "queued"],
          [true, "queued"],
          [false, "queued"],
          [true, "queued"],
        ],
      );
      assert.deepEqual([second?.jobId, third?.jobId], [first?.jobId, first?.jobId]);
      assert.notEqual(other?.jobId, first?.jobId);
    });

    it("lets two kinds of keys with the same text be", async () => {
      const answers = await Promise.all([
        submit({ idempotencyKey: "k" }),
        submit({ uniqueKey: "k" }),
      ]);

      assert.deepEqual(
        answers.map(({ isDuplicate }) => isDuplicate),
        [false, false],
      );
    });

    it("refuses another job under the same key, though both come together", async () => {
      const first = submit({ idempotencyKey: "k", input: "1" });
      const other = submit({ idempotencyKey: "k", input: "2" });

      const refusing = assert.rejects(other, { code: "idempotency_conflict" });
      assert.equal((await first).isDuplicate, false);
      await refusing;
    });

    it("takes what is left away for its default when it compares a job with the first one", async () => {
      const spec = { task: "noop", input: "null", idempotencyKey: `${queue} default` };
      const [first] = await dispatch.intake.submit([spec]);

      const [again] = await dispatch.intake.submit([{ ...spec, queue: "default", priority: 0 }]);

      assert.deepEqual([again?.isDuplicate, again?.jobId], [true, first?.jobId]);
    });

    it("answers with the job that holds a unique key, or refuses when told so", async () => {
      const holder = await submit({ uniqueKey: "k" });

      const existing = await submit({ uniqueKey: "k" });

      assert.deepEqual([existing.jobId, existing.isDuplicate], [holder.jobId, true]);
      await assert.rejects(submit({ uniqueKey: "k", onConflict: "reject" }), {
        code: "unique_conflict",
        details: { jobId: holder.jobId },
      });
    });

    it("refuses of a batch the call alone that does not fit into the database", async () => {
      const answers = await Promise.allSettled([
        submit({ idempotencyKey: "1", input: "1" }),
        submit({ idempotencyKey: "2", input: UNFIT_INPUT }),
        submit({ idempotencyKey: "3", input: "3" }),
      ]);

      assert.deepEqual(
        answers.map(({ status }) => status),
        ["fulfilled", "rejected", "fulfilled"],
      );
      assert.deepEqual(await inputs(), ["1", "3"]);
      assert.equal((await submit({ idempotencyKey: "2" })).isDuplicate, false);
    });

    it("knows its own job when the answer to its commit is lost", async () => {
      db.loseCommit(brokenConnection());

      const first = await submit({ idempotencyKey: "k", uniqueKey: "u" });
      const again = await submit({ idempotencyKey: "k", uniqueKey: "u" });

      assert.deepEqual([first.isDuplicate, first.state], [false, "queued"]);
      assert.deepEqual([again.isDuplicate, again.jobId], [true, first.jobId]);
      assert.equal((await inputs()).length, 1);
    });

    it("waits for a database that is away, and passes every other failure on", async () => {
      db.refuse(INSERT, brokenConnection());
      assert.equal((await submit({ idempotencyKey: "1" })).isDuplicate, false);

      const failure = new Error("disk full");
      db.refuse(INSERT, failure);
      await assert.rejects(submit({ idempotencyKey: "2" }), failure);
    });

    it("tells of the lanes of accepted jobs, not of duplicates", async () => {
      const toldOf = () => dispatch.told.queued.filter((lane) => lane.queue === queue).length;

      await submit({ idempotencyKey: "k" });
      assert.equal(toldOf(), 1);
      await submit({ idempotencyKey: "k" });
      assert.equal(toldOf(), 1);
    });
  });

  describe("of bulks", () => {
    it("accepts nothing of a bulk of which jobs are refused, and names each with its index", async () => {
      const holder = await submit({ uniqueKey: "held", input: "0" });
      const bulk = [
        { idempotencyKey: "1", input: "1" },
        { uniqueKey: "held", onConflict: "reject" },
        { idempotencyKey: "2", input: "2" },
      ] as const;

      const message = `The unique key "${queue} held" is held by unfinished job ${holder.jobId}.`;
      await assert.rejects(submitMany(bulk), {
        code: "bulk_rejected",
        details: { items: [{ index: 1, code: "unique_conflict", message }], itemCount: 1 },
      });
      assert.deepEqual(await inputs(), ["0"]);
    });

    it("keeps no key of a bulk that was refused", async () => {
      await submit({ uniqueKey: "held" });
      await assert.rejects(
        submitMany([{ idempotencyKey: "free" }, { uniqueKey: "held", onConflict: "reject" }]),
      );

      assert.equal((await submit({ idempotencyKey: "free", input: "2" })).isDuplicate, false);
    });

    it("answers with earlier jobs where keys are known, and accepts the rest", async () => {
      const earlier = await submit({ idempotencyKey: "1" });

      const results = await submitMany([{ idempotencyKey: "2" }, { idempotencyKey: "1" }, {}]);

      assert.deepEqual(
        results.map(({ isDuplicate }) => isDuplicate),
        [false, true, false],
      );
      assert.equal(results[1]?.jobId, earlier.jobId);
    });

    it("lets those with one key that come together take turns", async () => {
      const bulk = [{ idempotencyKey: "1" }, { idempotencyKey: "2" }];

      const [first, again] = await Promise.all([submitMany(bulk), submitMany(bulk)]);

      assert.deepEqual(
        again.map(({ jobId, isDuplicate }) => [jobId, isDuplicate]),
        first.map(({ jobId }) => [jobId, true]),
      );
    });

    it("does not make single jobs wait for a bulk", async () => {
      const holding = db.holdAnswer(INSERT);
      const bulk = submitMany([{ idempotencyKey: "1" }, {}]);
      const answer = await holding;

      const single = await submit({ idempotencyKey: "2" });
      answer();

      assert.equal(single.isDuplicate, false);
      assert.equal((await bulk).length, 2);
    });

    it("knows its own jobs when the answer to its commit is lost", async () => {
      db.loseCommit(brokenConnection());

      const results = await submitMany([{ idempotencyKey: "1" }, { uniqueKey: "2" }, {}]);

      assert.deepEqual(
        results.map(({ isDuplicate, state }) => [isDuplicate, state]),
        Array.from({ length: 3 }, () => [false, "queued"]),
      );
      assert.equal((await inputs()).length, 3);
    });

    it("are refused when too many of them wait", async () => {
      const admission = new Admission({ lanes: dispatch.lanes, payloadBytesMax: 1_000 });
      const intake = new KeyedIntake({
        db,
        idempotencyMs: 60_000,
        bounds: {
          batchRowsMax: 10,
          batchBytesMax: 10_000,
          pendingRowsMax: 3,
          pendingBytesMax: 10_000,
          what: "jobs",
        },
        onWritten: () => undefined,
        onError: (error) => assert.fail(String(error)),
      });
      const add = async (key: string) => {
        const jobs = await admission.admit([aSpec({ idempotencyKey: key }), aSpec()], []);
        return new Promise<readonly SubmitResult[]>((resolve, reject) => {
          intake.add({ jobs, resolve, reject }, jobs.length, 0);
        });
      };
      const holding = db.holdAnswer(INSERT);
      const underWay = add("1");
      const answer = await holding;

      const waiting = add("2");
      await assert.rejects(add("3"), { code: "resource_exhausted", message: /2 jobs wait/ });
      answer();

      assert.deepEqual([(await underWay).length, (await waiting).length], [2, 2]);
    });
  });
});
