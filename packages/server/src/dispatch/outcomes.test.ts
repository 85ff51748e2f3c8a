import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import {
  aDispatch,
  aTroubledDatabase,
  brokenConnection,
  type Dispatch,
  type TroubledDatabase,
} from "../../test/a-dispatch.ts";
import { aWorker, present } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { fenceOf } from "../domain/job.ts";
import { newJobId } from "../domain/job-id.ts";
import type { NewJob } from "../store/job-enqueue.ts";
import { attemptList, jobGet } from "../store/job-read.ts";
import { sql } from "../store/sql.ts";
import type { AttemptOutcome } from "./outcomes.ts";

describe("Outcomes", () => {
  const cleanup = suiteCleanup();
  const errors: unknown[] = [];
  let db: TroubledDatabase;
  let dispatch: Dispatch;
  before(async () => {
    db = aTroubledDatabase(await aDatabase(cleanup));
    dispatch = await aDispatch(db, cleanup, { onError: (error) => errors.push(error) });
    await dispatch.lane("default", { retry: { strategy: "fixed", baseMs: 7_000, jitter: "none" } });
  });

  /** A worker that holds so many jobs. */
  const aHolder = async (count: number, different: Partial<NewJob> = {}) => {
    const id = await aWorker(db);
    const lane = await dispatch.lane("default");
    const jobIds: string[] = [];
    for (let job = 0; job < count; job += 1) jobIds.push(await dispatch.holds(id, lane, different));
    const { session } = await dispatch.join({ id, slots: count });
    return { session, jobIds, jobId: present(jobIds[0]), lane };
  };
  const stateOf = async (jobId: string) => (await jobGet(db, jobId))?.state;
  const succeeded = (jobId: string, result = "1"): AttemptOutcome => ({
    jobId,
    attempt: 1,
    kind: "succeeded",
    result,
    durationMs: 1,
  });

  it("frees the slot at once, and answers when the outcome is durable", async () => {
    const { session, jobId } = await aHolder(1);
    const holding = db.holdAnswer("job_succeed");

    const reporting = dispatch.outcomes.report(session, [succeeded(jobId)]);
    assert.equal(session.freeCount, 1);
    const letGo = await holding;
    assert.equal(session.ending.fences().has(fenceOf(jobId, 1)), true);
    letGo();

    assert.deepEqual(await reporting, []);
    assert.equal(session.ending.fences().has(fenceOf(jobId, 1)), false);
    assert.equal(await stateOf(jobId), "succeeded");
  });

  it("writes what is reported together in one statement a kind", async () => {
    const { session, jobIds } = await aHolder(50);
    const writes = db.count("job_succeed");

    await dispatch.outcomes.report(
      session,
      jobIds.map((jobId) => succeeded(jobId)),
    );

    assert.equal(db.count("job_succeed") - writes, 1);
    assert.deepEqual(new Set(await Promise.all(jobIds.map(stateOf))), new Set(["succeeded"]));
  });

  it("tries again after the job's own back-off, else its task's", async () => {
    const own = await aHolder(1, {
      extra: { options: { retry: { strategy: "fixed", baseMs: 3_000, jitter: "none" } } },
    });
    const ofTask = await aHolder(1);
    dispatch.told.scheduled.length = 0;

    for (const { session, jobId } of [own, ofTask])
      await dispatch.outcomes.report(session, [{ jobId, attempt: 1, kind: "retry" }]);

    assert.deepEqual(dispatch.told.scheduled, [3_000, 7_000]);
    assert.equal(await stateOf(ofTask.jobId), "scheduled");
  });

  it("tells of lanes that have a ready job again, and of every job that changed", async () => {
    const { session, jobId, lane } = await aHolder(1);
    dispatch.told.queued.length = 0;
    dispatch.told.changed.length = 0;

    await dispatch.outcomes.report(session, [{ jobId, attempt: 1, kind: "snoozed", delayMs: 0 }]);

    assert.deepEqual([dispatch.told.queued, dispatch.told.changed], [[lane], [jobId]]);
    assert.equal(await stateOf(jobId), "queued");
  });

  it("ends a job as cancelled of whose cancellation only the table knows", async () => {
    const { session, jobId } = await aHolder(1);
    await db.query(
      sql`update baton.job set cancel_requested_at = baton.clock() where id = ${jobId}`,
    );

    const stale = await dispatch.outcomes.report(session, [{ jobId, attempt: 1, kind: "retry" }]);

    assert.deepEqual([stale, await stateOf(jobId)], [[], "cancelled"]);
  });

  describe("a result that the database cannot keep", () => {
    it("makes its own job dead, and none of those written with it", async () => {
      const { session, jobIds } = await aHolder(3);
      const [first, bad, last] = jobIds.map(present);

      const stale = await dispatch.outcomes.report(session, [
        succeeded(present(first)),
        succeeded(present(bad), '"a\u0000b"'),
        succeeded(present(last)),
      ]);

      assert.deepEqual(stale, []);
      assert.deepEqual(await Promise.all(jobIds.map(stateOf)), ["succeeded", "dead", "succeeded"]);
      const job = present(await jobGet(db, present(bad)));
      assert.equal(job.error?.code, "invalid_result");
      const [attempt] = await attemptList(db, job.id, 10);
      assert.deepEqual([attempt?.attempt, attempt?.outcome], [1, "failed"]);
    });

    it("counts as one more failure of its job", async () => {
      const id = await aWorker(db);
      const jobId = await dispatch.holds(id, await dispatch.lane("default"));
      await db.query(
        sql`update baton.job set failure_count = 2, lost_count = 1 where id = ${jobId}`,
      );
      const { session } = await dispatch.join({ id });

      await dispatch.outcomes.report(session, [succeeded(jobId, "\u0000")]);

      const [row] = await db.query(
        sql`select failure_count, lost_count from baton.job_finished where id = ${jobId}`,
      );
      assert.deepEqual(row, { failure_count: 3, lost_count: 1 });
    });
  });

  describe("what the worker does not hold", () => {
    it("is refused when it was made up, is another attempt, or another worker's", async () => {
      const { session, jobId } = await aHolder(1);
      const other = await aHolder(1);
      const madeUp = newJobId(Date.now());

      const stale = await dispatch.outcomes.report(session, [
        succeeded(madeUp),
        { ...succeeded(jobId), attempt: 2 },
        succeeded(other.jobId),
      ]);

      assert.deepEqual(
        stale.map((ref) => `${ref.jobId} ${ref.attempt}`).sort(),
        [`${madeUp} 1`, `${jobId} 2`, `${other.jobId} 1`].sort(),
      );
      assert.deepEqual(await Promise.all([jobId, other.jobId].map(stateOf)), [
        "running",
        "running",
      ]);
    });

    it("is taken for told when it stands in the books, and refused when it ended otherwise", async () => {
      const { session, jobIds } = await aHolder(2);
      const [once, twice] = [present(jobIds[0]), present(jobIds[1])];
      await dispatch.outcomes.report(session, [
        succeeded(once),
        { jobId: twice, attempt: 1, kind: "retry" },
      ]);

      const same = await dispatch.outcomes.report(session, [
        succeeded(once),
        { jobId: twice, attempt: 1, kind: "retry" },
      ]);
      const contradicting = await dispatch.outcomes.report(session, [
        { jobId: once, attempt: 1, kind: "failed" },
        succeeded(twice),
      ]);

      assert.deepEqual(same, []);
      assert.deepEqual(contradicting.map((ref) => ref.jobId).sort(), [once, twice].sort());
    });

    it("is booked when the table says that it is this worker's, by its task's rules", async () => {
      const { session, jobId, lane } = await aHolder(1);
      const forgotten = await dispatch.holds(session.id, lane);
      dispatch.told.scheduled.length = 0;

      const stale = await dispatch.outcomes.report(session, [
        { jobId: forgotten, attempt: 1, kind: "retry" },
      ]);

      assert.deepEqual([stale, dispatch.told.scheduled], [[], [7_000]]);
      assert.deepEqual(await Promise.all([jobId, forgotten].map(stateOf)), [
        "running",
        "scheduled",
      ]);
    });
  });

  it("takes an outcome that is told twice in one report as told once", async () => {
    const { session, jobId } = await aHolder(1);

    const stale = await dispatch.outcomes.report(session, [succeeded(jobId), succeeded(jobId)]);

    assert.deepEqual([stale, await stateOf(jobId)], [[], "succeeded"]);
  });

  it("believes the first of two outcomes that contradict each other in one report", async () => {
    const { session, jobId } = await aHolder(1);

    await dispatch.outcomes.report(session, [
      succeeded(jobId),
      { jobId, attempt: 1, kind: "failed", error: { code: "E", message: "no" } },
    ]);

    assert.equal(await stateOf(jobId), "succeeded");
    assert.equal((await attemptList(db, jobId, 10)).length, 1);
  });

  it("is not given up when the connection breaks before the write, or after it", async () => {
    const { session, jobIds } = await aHolder(2);
    const [unwritten, written] = [present(jobIds[0]), present(jobIds[1])];

    db.refuse("job_succeed", brokenConnection());
    const first = await dispatch.outcomes.report(session, [succeeded(unwritten)]);
    db.loseAnswer("job_succeed", brokenConnection());
    const second = await dispatch.outcomes.report(session, [succeeded(written)]);

    assert.deepEqual([first, second], [[], []]);
    assert.deepEqual(await Promise.all(jobIds.map(stateOf)), ["succeeded", "succeeded"]);
  });

  it("is not given up when the database has no room for it, which is told of", async () => {
    const { session, jobId } = await aHolder(1);
    const diskFull = Object.assign(new Error("could not extend file"), { code: "53100" });
    errors.length = 0;

    db.refuse("job_succeed", diskFull);
    const stale = await dispatch.outcomes.report(session, [succeeded(jobId)]);

    assert.deepEqual([stale, errors], [[], [diskFull]]);
    assert.equal(await stateOf(jobId), "succeeded");
  });

  it("is idle when everything reported is written", async () => {
    const { session, jobId } = await aHolder(1);
    const held = present(session.find(jobId, 1));

    dispatch.outcomes.end(session, held, { kind: "cancelled" });
    await dispatch.outcomes.idle();

    assert.equal(await stateOf(jobId), "cancelled");
  });
});
