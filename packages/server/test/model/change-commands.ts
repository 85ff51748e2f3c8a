/** What people and the clock do to jobs. */
import assert from "node:assert/strict";
import fc from "fast-check";

import { FINAL_STATES, JOB_STATES } from "../../src/domain/job.ts";
import {
  cancelJob,
  cancelJobs,
  redriveJob,
  redriveJobs,
} from "../../src/operations/change-jobs.ts";
import { expireJobs } from "../../src/operations/sweep.ts";
import { jobPromote } from "../../src/store/job-change.ts";
import { queuePause, queueResume } from "../../src/store/lane.ts";
import { present } from "../a-job.ts";
import { command, counts, pick, someJob, someQueue } from "./job-command.ts";
import { NAMESPACE } from "./job-tables.ts";

export const cancel = someJob.map((which) =>
  command(
    `cancel ${which}`,
    async (model, tables) => {
      const job = pick(model.in("scheduled", "queued", "running"), which);
      const { attempt } = job;

      const result = await cancelJob(tables.db, job.id, "because");

      const isTold = model.cancel(job);
      const stop = { jobId: job.id, attempt, workerId: tables.workerIds[job.worker ?? -1] };
      assert.deepEqual(result, {
        cancelledIds: isTold ? [] : [job.id],
        stops: isTold ? [stop] : [],
        hasMore: false,
      });
    },
    (model) => model.in("scheduled", "queued", "running").length > 0,
  ),
);

export const cancelLate = someJob.map((which) =>
  command(
    `cancel ${which}, which is over`,
    async (model, tables) => {
      const job = pick(model.in(...FINAL_STATES), which);

      await assert.rejects(cancelJob(tables.db, job.id, undefined), { code: "job_finished" });
    },
    (model) => model.in(...FINAL_STATES).length > 0,
  ),
);

export const cancelMany = fc
  .record({ queue: someQueue, limit: fc.integer({ min: 1, max: 3 }) })
  .map(({ queue, limit }) =>
    command(`cancel ${limit} of queue ${queue}`, async (model, tables) => {
      const result = await cancelJobs(
        tables.db,
        { queue: tables.queueNames[queue] },
        limit,
        undefined,
      );

      const all = model.in("scheduled", "queued", "running").filter((job) => job.queue === queue);
      const ended = all.slice(0, limit).filter((job) => !model.cancel(job));
      assert.deepEqual(
        [result.cancelledIds.toSorted(), result.hasMore],
        [ended.map((job) => job.id), all.length > limit],
      );
    }),
  );

export const redrive = someJob.map((which) =>
  command(
    `redrive ${which}`,
    async (model, tables) => {
      const job = pick(model.in(...JOB_STATES), which);
      const holder = job.uniqueKey === undefined ? undefined : model.holderOf(job.uniqueKey);
      const redriving = redriveJob(tables.db, job.id);

      if (job.state !== "dead") {
        await assert.rejects(redriving, { code: "job_not_dead" });
      } else if (holder !== undefined) {
        await assert.rejects(redriving, { code: "unique_conflict" });
      } else {
        assert.deepEqual(await redriving, [tables.laneIds[job.queue]]);
        model.redrive(job);
      }
    },
    (model) => model.jobs.size > 0,
  ),
);

export const redriveMany = fc.integer({ min: 1, max: 3 }).map((limit) =>
  command(`redrive ${limit} of all`, async (model, tables) => {
    const result = await redriveJobs(tables.db, {}, limit);

    const all = model.redrivable();
    const moved = all.slice(0, limit);
    for (const job of moved) model.redrive(job);
    assert.deepEqual(
      [counts(result.laneIds), result.hasMore],
      [counts(moved.map((job) => present(tables.laneIds[job.queue]))), all.length > limit],
    );
  }),
);

export const pause = someQueue.map((queue) =>
  command(`pause ${queue}`, async (model, tables) => {
    await queuePause(tables.db, NAMESPACE, present(tables.queueNames[queue]), "because");

    model.paused.add(queue);
  }),
);

export const resume = someQueue.map((queue) =>
  command(
    `resume ${queue}`,
    async (model, tables) => {
      await queueResume(tables.db, NAMESPACE, present(tables.queueNames[queue]));

      model.paused.delete(queue);
    },
    (model) => model.paused.has(queue),
  ),
);

export const wait = fc.constantFrom(1_000, 5_000, 30_000, 90_000).map((ms) =>
  command(`wait ${ms}`, async (model, tables) => {
    await tables.clock.advance(ms);

    model.nowMs += ms;
  }),
);

export const promote = fc.constantFrom(1, 2, 100).map((limit) =>
  command(`promote ${limit}`, async (model, tables) => {
    const rows = await jobPromote(tables.db, limit);

    const expected = model.promote(limit);
    assert.deepEqual(
      counts(rows.map((row) => row.lane_id)),
      counts(expected.map((job) => present(tables.laneIds[job.queue]))),
    );
  }),
);

export const expire = fc.constant(
  command("expire", async (model, tables) => {
    const ids = await expireJobs(tables.db, 100);

    assert.deepEqual(
      ids.toSorted(),
      model.expire().map((job) => job.id),
    );
  }),
);
