import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { aStoppedClock } from "../../test/a-clock.ts";
import { aDispatch, type Dispatch, type JoinOptions } from "../../test/a-dispatch.ts";
import { aWorker, present } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import {
  ATTEMPT_TIMEOUT_MS_DEFAULT,
  CANCEL_GRACE_MS_DEFAULT,
  STOP_SLACK_MS,
} from "../domain/limits.ts";
import type { TaskDefinition } from "../domain/views.ts";
import type { Database } from "../store/db.ts";
import type { NewJobExtra } from "../store/job-enqueue.ts";
import { attemptList, jobGet } from "../store/job-read.ts";

describe("Stops", () => {
  const cleanup = suiteCleanup();
  let db: Database;
  let dispatch: Dispatch;
  let nowMs = 0;
  let queues = 0;
  before(async () => {
    db = await aDatabase(cleanup);
    // Jobs are as old as the test says, on the database's clock as well.
    await aStoppedClock(db);
    dispatch = await aDispatch(db, cleanup, { now: () => nowMs });
  });

  /** An attempt that a worker was just given; it starts now. */
  const anAttempt = async (
    extra: NewJobExtra = {},
    options: JoinOptions & { readonly task?: Partial<TaskDefinition> } = {},
  ) => {
    const { task = {}, ...joining } = options;
    queues += 1;
    const lane = await dispatch.lane(`stops-${queues}`, task);
    const id = await aWorker(db);
    const jobId = await dispatch.holds(id, lane, { extra });
    const worker = await dispatch.join({ id, queues: [lane.queue], ...joining });
    const held = present(worker.session.find(jobId, 1));
    return { ...worker, id, lane, jobId, held };
  };
  const pass = (afterMs: number): void => {
    nowMs += afterMs;
    dispatch.stops.passOnce();
  };
  const ended = async (jobId: string) => {
    await dispatch.outcomes.idle();
    const job = present(await jobGet(db, jobId));
    const [attempt] = await attemptList(db, jobId, 10);
    return [job.state, attempt?.outcome, job.error?.code];
  };

  it("tells a worker to stop when the attempt's time is up, not before, and once", async () => {
    const { stops, jobId } = await anAttempt({ options: { attemptTimeoutMs: 1_000 } });

    pass(999);
    assert.equal(stops.length, 0);
    pass(1);
    pass(1);

    assert.deepEqual(stops, [
      { jobId, attempt: 1, reason: "timed_out", graceMs: CANCEL_GRACE_MS_DEFAULT },
    ]);
  });

  it("ends the attempt itself when grace and slack are over, and tells the worker so", async () => {
    const { stops, jobId, session } = await anAttempt({
      options: { attemptTimeoutMs: 1_000, cancelGraceMs: 500 },
    });

    pass(1_000);
    pass(500 + STOP_SLACK_MS - 1);
    assert.deepEqual([stops.length, session.held.size], [1, 1]);
    pass(1);

    assert.deepEqual(
      stops.map(({ reason, graceMs }) => [reason, graceMs]),
      [
        ["timed_out", 500],
        ["stale_lease", 0],
      ],
    );
    assert.equal(session.held.size, 0);
    assert.deepEqual(await ended(jobId), ["scheduled", "timed_out", "timed_out"]);
  });

  it("leaves the end to the worker that says it within its grace", async () => {
    const { stops, jobId, session } = await anAttempt({ options: { attemptTimeoutMs: 1_000 } });

    pass(1_000);
    const stale = await dispatch.outcomes.report(session, [
      { jobId, attempt: 1, kind: "succeeded", result: "1" },
    ]);
    pass(CANCEL_GRACE_MS_DEFAULT + STOP_SLACK_MS);

    assert.deepEqual([stale, stops.length], [[], 1]);
    assert.deepEqual(await ended(jobId), ["succeeded", "succeeded", undefined]);
  });

  it("stops a handler that was not heard of, however long one that was heard of takes", async () => {
    const { stops, jobId, held } = await anAttempt({ options: { heartbeatTimeoutMs: 1_000 } });

    for (let beat = 0; beat < 5; beat += 1) {
      pass(999);
      held.heardAtMs = nowMs;
    }
    assert.equal(stops.length, 0);
    pass(1_000);
    pass(CANCEL_GRACE_MS_DEFAULT + STOP_SLACK_MS);

    assert.equal(stops[0]?.reason, "heartbeat_timed_out");
    assert.deepEqual(await ended(jobId), ["scheduled", "timed_out", "heartbeat_timed_out"]);
  });

  it("stops what runs past its job's total deadline, which is the end of the job", async () => {
    const { stops, jobId } = await anAttempt({ deadlineMs: 1_000 });

    pass(1_000);
    pass(CANCEL_GRACE_MS_DEFAULT + STOP_SLACK_MS);

    assert.equal(stops[0]?.reason, "deadline_exceeded");
    assert.deepEqual(await ended(jobId), ["dead", "timed_out", "deadline_exceeded"]);
  });

  for (const [reason, timeouts] of [
    ["timed_out", { attemptTimeoutMs: 1_000, heartbeatTimeoutMs: 2_000, deadlineMs: 3_000 }],
    [
      "heartbeat_timed_out",
      { attemptTimeoutMs: 2_000, heartbeatTimeoutMs: 1_000, deadlineMs: 3_000 },
    ],
    [
      "deadline_exceeded",
      { attemptTimeoutMs: 3_000, heartbeatTimeoutMs: 2_000, deadlineMs: 1_000 },
    ],
  ] as const) {
    it(`names what came first: ${reason}`, async () => {
      const { deadlineMs, ...options } = timeouts;
      const { stops } = await anAttempt({ deadlineMs, options });

      pass(999);
      assert.equal(stops.length, 0);
      pass(1);

      assert.equal(stops[0]?.reason, reason);
    });
  }

  it("takes the timeouts of the task unless the job has its own, and else the defaults", async () => {
    const task = { attemptTimeoutMs: 2_000, cancelGraceMs: 300 };
    const ofTask = await anAttempt({}, { task });
    const ofJob = await anAttempt(
      { options: { attemptTimeoutMs: 4_000, cancelGraceMs: 100 } },
      { task },
    );
    const startedMs = nowMs;

    pass(2_000);
    pass(2_000);
    assert.deepEqual([ofTask.stops[0]?.graceMs, ofJob.stops[0]?.graceMs], [300, 100]);

    const byDefault = await anAttempt();
    pass(ATTEMPT_TIMEOUT_MS_DEFAULT - 1);
    assert.equal(byDefault.stops.length, 0);
    pass(1);

    assert.equal(byDefault.stops[0]?.reason, "timed_out");
    assert.equal(nowMs, startedMs + 4_000 + ATTEMPT_TIMEOUT_MS_DEFAULT);
  });

  it("lets an attempt run without end whose timeout is 0", async () => {
    const { stops } = await anAttempt({ options: { attemptTimeoutMs: 0 } });

    pass(10 * ATTEMPT_TIMEOUT_MS_DEFAULT);

    assert.equal(stops.length, 0);
  });

  it("counts the time of an attempt behind the slots from when it can have started", async () => {
    const extra = { options: { attemptTimeoutMs: 1_000 } };
    const id = await aWorker(db);
    const lane = await dispatch.lane("stops-prefetch");
    for (let job = 0; job < 2; job += 1) await dispatch.holds(id, lane, { extra });
    const { session, stops } = await dispatch.join({ id, queues: [lane.queue], prefetch: 1 });
    const [first, second] = [...session.held.values()];

    pass(900);
    await dispatch.outcomes.report(session, [{ ...present(first), kind: "succeeded" }]);
    pass(999);
    assert.equal(stops.length, 0);
    pass(1);

    assert.deepEqual(
      stops.map((stop) => stop.jobId),
      [second?.jobId],
    );
  });

  describe("cancel", () => {
    it("tells the worker at once, and once, and ends the attempt as cancelled after the grace", async () => {
      const { stops, jobId, session } = await anAttempt({ options: { cancelGraceMs: 500 } });

      const told = [
        dispatch.stops.cancel(session, jobId, 1, "because"),
        dispatch.stops.cancel(session, jobId, 1, "because"),
      ];
      pass(500 + STOP_SLACK_MS);

      assert.deepEqual(told, [true, true]);
      assert.deepEqual(
        stops.map(({ reason, graceMs }) => [reason, graceMs]),
        [
          ["cancelled", 500],
          ["stale_lease", 0],
        ],
      );
      assert.deepEqual(await ended(jobId), ["cancelled", "cancelled", undefined]);
    });

    it("does nothing about an attempt that the worker does not hold", async () => {
      const { stops, jobId, session } = await anAttempt();

      assert.equal(dispatch.stops.cancel(session, jobId, 2, "because"), false);
      assert.equal(stops.length, 0);
    });

    it("does not tell a worker twice that is stopping already, but ends the job for good", async () => {
      const { stops, jobId, session } = await anAttempt({ options: { attemptTimeoutMs: 1_000 } });
      pass(1_000);

      dispatch.stops.cancel(session, jobId, 1, "because");
      pass(CANCEL_GRACE_MS_DEFAULT + STOP_SLACK_MS);

      assert.deepEqual(
        stops.map((stop) => stop.reason),
        ["timed_out", "stale_lease"],
      );
      assert.deepEqual(await ended(jobId), ["cancelled", "timed_out", "timed_out"]);
    });
  });
});
