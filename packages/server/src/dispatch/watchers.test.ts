import assert from "node:assert/strict";
import { before, beforeEach, describe, it } from "node:test";

import { aLane, aQueuedJob, aWorker, leaseFrom, present } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { newJobId } from "../domain/job-id.ts";
import type { JobEventView, JobFilter } from "../domain/views.ts";
import type { Database } from "../store/db.ts";
import { jobSucceed } from "../store/job-finish.ts";
import { jobProgress } from "../store/job-notes.ts";
import { Lanes } from "./lanes.ts";
import { Watchers } from "./watchers.ts";

/** Longer than any test: whoever is told in time was told by a hint. */
const NEVER_MS = 600_000;
const SOON_MS = 10;

describe("Watchers", () => {
  const cleanup = suiteCleanup();
  let db: Database;
  let lanes: Lanes;
  let queue = "";
  let laneId: number;
  let workerId: number;
  let tests = 0;
  before(async () => {
    db = await aDatabase(cleanup);
    lanes = new Lanes(db, () => undefined);
    workerId = await aWorker(db);
  });
  beforeEach(async () => {
    tests += 1;
    queue = `watchers-${tests}`;
    laneId = await aLane(db, queue);
  });

  const theWatchers = (pollMs: number): Watchers => {
    const watchers = new Watchers({
      db,
      lanes,
      pollMs,
      hasOthers: () => false,
      onError: (error) => assert.fail(String(error)),
    });
    cleanup.after(() => watchers.stop());
    return watchers;
  };
  const lease = async (): Promise<string> =>
    present((await leaseFrom(db, [laneId], [workerId]))[0]).id;
  const succeed = (jobId: string) =>
    jobSucceed(db, [{ jobId, attempt: 1, result: "1", durationMs: 1 }]);

  describe("watchJob", () => {
    it("shows the job as it is, then at each change it is hinted of, until its end", async () => {
      const watchers = theWatchers(NEVER_MS);
      const id = await aQueuedJob(db, laneId);
      const watch = watchers.watchJob(id, new AbortController().signal);
      const seen: unknown[] = [];
      const next = async (): Promise<void> => {
        const { value, done } = await watch.next();
        seen.push(done === true ? "over" : [value.state, value.progress]);
      };
      await next();

      for (const change of [
        lease,
        () => jobProgress(db, [{ jobId: id, attempt: 1, value: "0.5" }]),
        () => succeed(id),
      ]) {
        const shown = next();
        await change();
        watchers.hint([id]);
        await shown;
      }
      await next();

      assert.deepEqual(seen, [
        ["queued", undefined],
        ["running", undefined],
        ["running", "0.5"],
        ["succeeded", "0.5"],
        "over",
      ]);
    });

    it("shows nothing twice, however often it is hinted", async () => {
      const watchers = theWatchers(SOON_MS);
      const id = await aQueuedJob(db, laneId);
      const watch = watchers.watchJob(id, new AbortController().signal);
      await watch.next();

      const shown = watch.next();
      for (let hint = 0; hint < 3; hint += 1) watchers.hint([id]);
      await lease();

      assert.equal((await shown).value?.state, "running");
      await watch.return(undefined);
    });

    it("looks again by itself when no hint comes", async () => {
      const watchers = theWatchers(SOON_MS);
      const id = await aQueuedJob(db, laneId);
      const watch = watchers.watchJob(id, new AbortController().signal);
      await watch.next();

      await lease();

      assert.equal((await watch.next()).value?.state, "running");
      await watch.return(undefined);
    });

    it("shows a job that is over once", async () => {
      const id = await aQueuedJob(db, laneId);
      await lease();
      await succeed(id);

      const states: string[] = [];
      const signal = new AbortController().signal;
      for await (const job of theWatchers(NEVER_MS).watchJob(id, signal)) states.push(job.state);

      assert.deepEqual(states, ["succeeded"]);
    });

    it("refuses a job that is none", async () => {
      const watch = theWatchers(NEVER_MS).watchJob(
        newJobId(Date.now()),
        new AbortController().signal,
      );

      await assert.rejects(watch.next(), { code: "job_not_found" });
    });

    it("is over when its watcher goes, also while it waits", async () => {
      const id = await aQueuedJob(db, laneId);
      const going = new AbortController();
      const watch = theWatchers(NEVER_MS).watchJob(id, going.signal);
      await watch.next();

      const waiting = watch.next();
      going.abort();

      assert.equal((await waiting).done, true);
    });

    it("tells everybody who watches the same job, and goes on when one of them leaves", async () => {
      const watchers = theWatchers(NEVER_MS);
      const id = await aQueuedJob(db, laneId);
      const { signal } = new AbortController();
      const [one, other] = [watchers.watchJob(id, signal), watchers.watchJob(id, signal)];
      for (const watch of [one, other]) await watch.next();

      await one.return(undefined);
      const shown = other.next();
      await lease();
      watchers.hint([id]);

      assert.equal((await shown).value?.state, "running");
      await other.return(undefined);
    });
  });

  describe("watchEvents", () => {
    /** So many events that match, from the first that is kept or behind `after`. */
    const eventsOf = async (
      filter: JobFilter,
      count: number,
      after = 0,
    ): Promise<readonly JobEventView[]> => {
      const events: JobEventView[] = [];
      const { signal } = new AbortController();
      for await (const event of theWatchers(SOON_MS).watchEvents(filter, after, signal)) {
        events.push(event);
        if (events.length === count) break;
      }
      return events;
    };

    it("shows the changes of jobs, in order and with the attempt", async () => {
      const id = await aQueuedJob(db, laneId);
      await lease();
      await succeed(id);

      const events = await eventsOf({ queue }, 3);

      assert.deepEqual(
        events.map(({ jobId, state, attempt, task }) => [jobId, state, attempt, task]),
        [
          [id, "queued", 0, "noop"],
          [id, "running", 1, "noop"],
          [id, "succeeded", 1, "noop"],
        ],
      );
      const sequences = events.map((event) => event.sequence);
      assert.deepEqual(
        sequences,
        sequences.toSorted((a, b) => a - b),
      );
    });

    it("shows those that match: queue, task, state, tag and the time of acceptance", async () => {
      const started = new Date();
      const otherLane = await aLane(db, queue, "other");
      const tagged = await aQueuedJob(db, laneId, { extra: { tags: ["x", "y"] } });
      const other = await aQueuedJob(db, otherLane);
      await leaseFrom(db, [laneId], [workerId]);
      const first = async (filter: JobFilter): Promise<string> => {
        const [event] = await eventsOf({ queue, ...filter }, 1);
        return `${event?.jobId} ${event?.state}`;
      };

      assert.equal(await first({ task: "other" }), `${other} queued`);
      assert.equal(await first({ states: ["running"] }), `${tagged} running`);
      assert.equal(await first({ states: ["running", "queued"] }), `${tagged} queued`);
      assert.equal(await first({ tag: "y" }), `${tagged} queued`);
      assert.equal(await first({ tag: "y", createdAfter: started }), `${tagged} queued`);
      await jobSucceed(db, [{ jobId: tagged, attempt: 1, result: "1", durationMs: 1 }]);
      assert.equal(await first({ tag: "y", states: ["succeeded"] }), `${tagged} succeeded`);
    });

    it("goes on behind any sequence it has shown, without a gap or a double", async () => {
      const ids: string[] = [];
      for (let job = 0; job < 5; job += 1) ids.push(await aQueuedJob(db, laneId));
      const all = await eventsOf({ queue }, 5);

      for (const [index, event] of all.slice(0, -1).entries()) {
        const rest = await eventsOf({ queue }, all.length - index - 1, event.sequence);
        assert.deepEqual(rest, all.slice(index + 1));
      }

      assert.deepEqual(
        all.map((event) => event.jobId),
        ids,
      );
    });

    it("shows everything when there is more than one statement reads", async () => {
      const ids: string[] = [];
      for (let job = 0; job < 450; job += 1) ids.push(await aQueuedJob(db, laneId));

      const events = await eventsOf({ queue }, ids.length);

      assert.deepEqual(
        events.map((event) => event.jobId),
        ids,
      );
    });
  });

  describe("stop", () => {
    it("ends every watch with unavailable, and refuses new ones", async () => {
      const watchers = theWatchers(NEVER_MS);
      const id = await aQueuedJob(db, laneId);
      const { signal } = new AbortController();
      const ofJob = watchers.watchJob(id, signal);
      const ofEvents = watchers.watchEvents({ queue }, 0, signal);
      await Promise.all([ofJob.next(), ofEvents.next()]);
      const ending = [
        assert.rejects(ofJob.next(), { code: "unavailable" }),
        assert.rejects(ofEvents.next(), { code: "unavailable" }),
      ];

      await watchers.stop();
      await Promise.all(ending);

      await assert.rejects(watchers.watchJob(id, signal).next(), { code: "unavailable" });
      await assert.rejects(watchers.watchEvents({}, 0, signal).next(), { code: "unavailable" });
    });
  });
});
