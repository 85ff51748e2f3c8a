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
import { until } from "../../test/until.ts";
import type { JobSpec } from "../domain/job-spec.ts";
import { jobGet } from "../store/job-read.ts";
import { sql } from "../store/sql.ts";
import type { Lane } from "./lane.ts";

const INSERT = "job_insert_plain";
/** JSON that PostgreSQL takes for no text. */
const UNFIT_INPUT = '"\0"';

describe("Intake", () => {
  const cleanup = suiteCleanup();
  const errors: unknown[] = [];
  let db: TroubledDatabase;
  let dispatch: Dispatch;
  let lane: Lane;
  let tests = 0;
  before(async () => {
    db = aTroubledDatabase(await aDatabase(cleanup));
    dispatch = await aDispatch(db, cleanup, { onError: (error) => errors.push(error) });
  });
  beforeEach(async () => {
    tests += 1;
    lane = await dispatch.lane(`intake-${tests}`, {});
    lane.markEmpty(lane.wakeUps);
  });
  const aSpec = (different: Partial<JobSpec> = {}): JobSpec => ({
    task: "noop",
    queue: lane.queue,
    input: "null",
    ...different,
  });
  const submit = async (different: Partial<JobSpec> = {}) =>
    present((await dispatch.intake.submit([aSpec(different)]))[0]);
  const join = (slots: number) => dispatch.join({ queues: [lane.queue], slots });
  const rowsOf = (queue: string) =>
    db.query<{ id: string; state: string }>(sql`
      select job.id, job.state
        from baton.job
        join baton.lane on lane.id = job.lane_id
       where lane.queue = ${queue}
       order by job.queue_position, job.id`);

  it("gives a job to a free slot with the statement that inserts it", async () => {
    const { session, jobs } = await join(1);

    const { jobId, state } = await submit({ input: '"eager"', tags: ["t"] });

    assert.equal(state, "running");
    assert.partialDeepStrictEqual(jobs, [
      { id: jobId, attempt: 1, input: '"eager"', tags: ["t"], maxAttempts: 3 },
    ]);
    assert.deepEqual([session.held.size, dispatch.told.queued.includes(lane)], [1, false]);
  });

  it("queues what finds no slot, and tells of its lane", async () => {
    const { jobs } = await join(1);

    const results = await dispatch.intake.submit([aSpec(), aSpec(), aSpec()]);

    assert.deepEqual(
      results.map(({ state }) => state),
      ["running", "queued", "queued"],
    );
    assert.deepEqual(
      [jobs.length, dispatch.told.queued.filter((told) => told === lane).length],
      [1, 1],
    );
  });

  it("lets no job overtake one that waits in its lane", async () => {
    const earlier = await submit();
    const { jobs } = await join(1);

    const { state } = await submit();
    await until(() => jobs.length > 0);

    assert.deepEqual([state, jobs.map(({ id }) => id)], ["queued", [earlier.jobId]]);
  });

  it("lets no job overtake one whose insert is under way", async () => {
    const holding = db.holdAnswer(INSERT);
    const inserting = submit();
    const answer = await holding;
    const { jobs } = await join(1);

    const { state } = await submit();
    answer();
    await until(() => jobs.length > 0);

    const earlier = await inserting;
    assert.deepEqual([state, jobs.map(({ id }) => id)], ["queued", [earlier.jobId]]);
  });

  it("gives the slots of one batch to the most urgent jobs, and then to the first ones", async () => {
    const { jobs } = await join(3);

    const calls = await Promise.all([
      dispatch.intake.submit([aSpec({ priority: 1 }), aSpec({ priority: 9 })]),
      dispatch.intake.submit([aSpec({ priority: 5 })]),
      dispatch.intake.submit([aSpec({ priority: 5 }), aSpec({ priority: 9 })]),
    ]);

    assert.deepEqual(
      calls.map((results) => results.map(({ state }) => state)),
      [["queued", "running"], ["running"], ["queued", "running"]],
    );
    assert.deepEqual(
      jobs.map(({ priority }) => priority).sort((a, b) => a - b),
      [5, 9, 9],
    );
  });

  it("schedules what starts later without a slot, and tells when it is due", async () => {
    const { session } = await join(1);

    const { state } = await submit({ delayMs: 123_456 });
    await submit({ runAt: new Date(Date.now() + 3_600_000) });

    assert.deepEqual([state, session.held.size], ["scheduled", 0]);
    assert.deepEqual(dispatch.told.scheduled.slice(-2), [123_456, undefined]);
  });

  it("answers each call of a batch with its own jobs, in their order", async () => {
    const calls = await Promise.all(
      ["a", "b", "c"].map((call) =>
        dispatch.intake.submit([1, 2].map((n) => aSpec({ input: `"${call}${n}"` }))),
      ),
    );

    const inputs = await Promise.all(
      calls.flat().map(async ({ jobId }) => (await jobGet(db, jobId))?.input),
    );
    assert.deepEqual(inputs, ['"a1"', '"a2"', '"b1"', '"b2"', '"c1"', '"c2"']);
  });

  it("refuses of a batch the call alone that does not fit into the database", async () => {
    const { jobs, session } = await join(5);

    const answers = await Promise.allSettled([
      dispatch.intake.submit([aSpec({ input: "1" })]),
      dispatch.intake.submit([aSpec({ input: "2" }), aSpec({ input: UNFIT_INPUT })]),
      dispatch.intake.submit([aSpec({ input: "3" })]),
    ]);
    // While the worker was compared with the table its slots were closed: what came then was queued.
    dispatch.leaser.wakeLanes([lane]);
    await until(() => session.freeCount === 3);

    assert.deepEqual(
      answers.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.deepEqual(jobs.map(({ input }) => input).sort(), ["1", "3"]);
  });

  it("waits for a database that is away", async () => {
    db.refuse(INSERT, brokenConnection());

    const { jobId, state } = await submit();

    assert.deepEqual([state, await rowsOf(lane.queue)], ["queued", [{ id: jobId, state }]]);
  });

  it("inserts a job once whose answer was lost after the commit, and gives it once to its slot", async () => {
    const { jobs, session } = await join(2);
    db.loseAnswer(INSERT, brokenConnection());

    const { jobId, state } = await submit();

    assert.deepEqual([state, await rowsOf(lane.queue)], ["running", [{ id: jobId, state }]]);
    assert.deepEqual([jobs.map(({ id }) => id), session.freeCount], [[jobId], 1]);
  });

  it("passes every other failure on, and frees the slots", async () => {
    const { session } = await join(1);
    const failure = new Error("disk full");
    db.refuse(INSERT, failure);

    await assert.rejects(submit(), failure);
    await until(() => session.freeCount > 0);

    assert.equal((await submit()).state, "running");
  });

  it("is idle when all it took in is written", async () => {
    const holding = db.holdAnswer(INSERT);
    const submitting = submit();
    const answer = await holding;
    let isIdle = false;

    const idle = dispatch.intake.idle().then(() => {
      isIdle = true;
    });
    await rowsOf(lane.queue);
    assert.equal(isIdle, false);
    answer();
    await idle;

    assert.equal((await submitting).state, "queued");
    assert.deepEqual(errors, []);
  });
});
