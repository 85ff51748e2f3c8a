import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import {
  aTroubledDatabase,
  brokenConnection,
  type TroubledDatabase,
} from "../../test/a-dispatch.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import type { JobSpec } from "../domain/job-spec.ts";
import { QUEUES_MAX } from "../domain/limits.ts";
import { AppError, type BadJob } from "../errors.ts";
import type { NewJobExtra } from "../store/job-enqueue.ts";
import { taskPut } from "../store/lane.ts";
import { sql } from "../store/sql.ts";
import { Admission } from "./admission.ts";
import { Lanes } from "./lanes.ts";

/** Most statements of ours have no name. */
const ANY = "";
const PAYLOAD_BYTES_MAX = 1_000;

describe("Admission", () => {
  const cleanup = suiteCleanup();
  let db: TroubledDatabase;
  let admission: Admission;
  before(async () => {
    db = aTroubledDatabase(await aDatabase(cleanup));
    admission = anAdmission(db);
    await taskPut(db, 1, [{ name: "noop", maxAttempts: 5, queueTimeoutMs: 60_000 }]);
  });
  const aJob = (different: Partial<JobSpec> = {}): JobSpec => ({
    task: "noop",
    input: "null",
    ...different,
  });
  const statementsOf = async (work: () => Promise<unknown>): Promise<number> => {
    const earlier = db.count(ANY);
    await work();
    return db.count(ANY) - earlier;
  };

  it("admits a call of which everything is known without a statement", async () => {
    await admission.admit([aJob({ queue: "known" })], []);

    const statements = await statementsOf(() =>
      admission.admit([aJob({ queue: "known" }), aJob({ queue: "known" })], []),
    );

    assert.equal(statements, 0);
  });

  /** What each extra comes from: the types say when one is missing here. */
  const extras: Readonly<Record<keyof NewJobExtra, Partial<JobSpec>>> = {
    delayMs: { delayMs: 1 },
    runAt: { runAt: new Date(0) },
    queueTimeoutMs: { queueTimeoutMs: 1 },
    deadlineMs: { deadlineMs: 1 },
    inputContentType: { inputContentType: "text/plain" },
    uniqueKey: { uniqueKey: "key" },
    tags: { tags: ["tag"] },
    options: { attemptTimeoutMs: 1 },
  };
  for (const [field, different] of Object.entries(extras)) {
    it(`keeps ${field} of a job that has nothing else beyond the plain`, async () => {
      await taskPut(db, 1, [{ name: "plain" }]);

      const [job] = await admission.admit([aJob({ task: "plain", ...different })], []);

      assert.deepEqual(
        Object.entries(job?.extra ?? {}).flatMap(([name, value]) =>
          value === undefined ? [] : name,
        ),
        [field],
      );
    });
  }

  it("fills in what a job leaves away: from its task's definition, and the default queue", async () => {
    const [plain, own] = await admission.admit(
      [aJob(), aJob({ queue: "own", maxAttempts: 1, queueTimeoutMs: 5, priority: 7 })],
      [],
    );

    assert.deepEqual(
      [plain, own].map((job) => [job?.lane.queue, job?.maxAttempts, job?.extra?.queueTimeoutMs]),
      [
        ["default", 5, 60_000],
        ["own", 1, 5],
      ],
    );
  });

  it("makes all new lanes of a call in as many statements as one", async () => {
    const jobs = Array.from({ length: 1_000 }, (_, n) => aJob({ queue: `many-${n}` }));

    const one = await statementsOf(() => admission.admit([aJob({ queue: "lone" })], []));
    const many = await statementsOf(() => admission.admit(jobs, []));

    assert.equal(many, one);
  });

  it("looks all unknown tasks of a call up in one statement", async () => {
    const jobs = Array.from({ length: 1_000 }, (_, n) => aJob({ task: `nobody-${n}` }));

    const statements = await statementsOf(() =>
      assert.rejects(admission.admit(jobs, []), { code: "bulk_rejected" }),
    );

    assert.equal(statements, 1);
  });

  it("weighs an input in bytes, not in characters", async () => {
    const bytesOf = (bytes: number) => aJob({ input: JSON.stringify("é".repeat((bytes - 2) / 2)) });

    await admission.admit([bytesOf(PAYLOAD_BYTES_MAX)], []);

    await assert.rejects(admission.admit([bytesOf(PAYLOAD_BYTES_MAX + 2)], []), {
      code: "payload_too_large",
      details: { field: "input", bytes: PAYLOAD_BYTES_MAX + 2, bytesMax: PAYLOAD_BYTES_MAX },
    });
  });

  it("counts what its door could not read among the jobs of a call", async () => {
    const unread = [0, 2].map((index): BadJob => ({
      index,
      error: new AppError("malformed_json", "?"),
    }));

    const problems = await problemsOf(
      admission.admit([aJob(), aJob({ task: "nobody" }), aJob({ priority: 1_000 })], unread),
    );

    assert.deepEqual(problems, [
      [0, "malformed_json"],
      [2, "malformed_json"],
      [3, "task_not_found"],
      [4, "invalid_argument"],
    ]);
  });

  it("leaves no queue of a call behind that is refused", async () => {
    await assert.rejects(
      admission.admit([aJob({ queue: "left" }), aJob({ queue: "left-2", priority: 1_000 })], []),
      { code: "bulk_rejected" },
    );

    assert.deepEqual(await db.query(sql`select name from baton.queue where name like 'left%'`), []);
  });

  it("waits for a database that is away, and calls it unavailable when it waits no more", async () => {
    const stopping = anAdmission({ ...db, abandoned: AbortSignal.abort() });
    const jobs = [aJob({ queue: "away" })];

    db.refuse(ANY, brokenConnection());
    await assert.rejects(stopping.admit(jobs, []), { code: "unavailable" });
    db.refuse(ANY, brokenConnection());
    const [admitted] = await admission.admit(jobs, []);

    assert.equal(admitted?.lane.queue, "away");
  });

  describe("with as many queues as there may be, but two", () => {
    before(async () => {
      await db.query(sql`
        insert into baton.queue (namespace_id, name)
        select 1, 'q' || n
          from generate_series(1, ${QUEUES_MAX - 2}::integer - (select count(*) from baton.queue)) as n`);
    });

    it("names every job of a bulk that has no room, and leaves no queue of the others behind", async () => {
      const jobs = Array.from({ length: 5 }, (_, n) => aJob({ queue: `new-${n}` }));

      const problems = await problemsOf(admission.admit(jobs, []));

      assert.deepEqual(problems, [
        [2, "resource_exhausted"],
        [3, "resource_exhausted"],
        [4, "resource_exhausted"],
      ]);
      assert.deepEqual(
        await db.query(sql`select name from baton.queue where name like 'new-%'`),
        [],
      );
    });

    it("names them together with the jobs that are bad themselves", async () => {
      const jobs = [
        aJob({ queue: "new-0" }),
        aJob({ queue: "new-1", priority: 1_000 }),
        aJob({ queue: "new-2" }),
        aJob({ queue: "new-3" }),
        aJob({ queue: "new-4", task: "nobody" }),
      ];

      assert.deepEqual(await problemsOf(admission.admit(jobs, [])), [
        [1, "invalid_argument"],
        [3, "resource_exhausted"],
        [4, "task_not_found"],
      ]);
    });

    it("refuses a lone job with the queue's name, and admits what needs no new queue", async () => {
      await taskPut(db, 1, [{ name: "another" }]);
      await admission.admit([aJob({ queue: "new-0" }), aJob({ queue: "new-1" })], []);

      const [admitted] = await admission.admit([aJob({ queue: "q1", task: "another" })], []);

      assert.equal(admitted?.lane.task, "another");
      await assert.rejects(admission.admit([aJob({ queue: "new-2" })], []), {
        code: "resource_exhausted",
        message: /no room for the new queue "new-2"/,
      });
    });
  });
});

function anAdmission(db: TroubledDatabase): Admission {
  return new Admission({
    lanes: new Lanes(db, () => undefined),
    payloadBytesMax: PAYLOAD_BYTES_MAX,
  });
}

/** Index and code of each job for which a bulk is refused. */
async function problemsOf(admitting: Promise<unknown>): Promise<unknown> {
  const error: unknown = await admitting.then(
    () => assert.fail("expected a refusal"),
    (refusal: unknown) => refusal,
  );
  assert.ok(error instanceof AppError);
  assert.equal(error.code, "bulk_rejected");
  const items = error.details["items"];
  assert.ok(Array.isArray(items));
  return items.map(({ index, code }: { index: number; code: string }) => [index, code]);
}
