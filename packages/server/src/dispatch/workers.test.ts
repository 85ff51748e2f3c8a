import assert from "node:assert/strict";
import { before, beforeEach, describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";

import { aStoppedClock, type StoppedClock } from "../../test/a-clock.ts";
import {
  aDispatch,
  aTroubledDatabase,
  type Dispatch,
  type TroubledDatabase,
} from "../../test/a-dispatch.ts";
import { aNewJob, aQueuedJob, aWorker, leaseFrom, present } from "../../test/a-job.ts";
import { aSession } from "../../test/a-session.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { until } from "../../test/until.ts";
import { newJobId } from "../domain/job-id.ts";
import { DELIVERY_MS_MAX, JOBS_PER_MESSAGE_MAX } from "../domain/limits.ts";
import { jobInsert } from "../store/job-enqueue.ts";
import type { Lane } from "./lane.ts";
import { toDelivery, type WorkerSession } from "./worker-session.ts";

describe("Workers", () => {
  const cleanup = suiteCleanup();
  let db: TroubledDatabase;
  let clock: StoppedClock;
  let dispatch: Dispatch;
  let lane: Lane;
  let tests = 0;
  before(async () => {
    db = aTroubledDatabase(await aDatabase(cleanup));
    clock = await aStoppedClock(db);
    dispatch = await aDispatch(db, cleanup);
  });
  beforeEach(async () => {
    tests += 1;
    lane = await dispatch.lane(`workers-${tests}`, {});
    lane.markEmpty(lane.wakeUps);
  });

  const join = (options: Parameters<Dispatch["join"]>[0] = {}) =>
    dispatch.join({ queues: [lane.queue], ...options });
  /** Leases a job for a slot that was promised, as a statement would that is under way meanwhile. */
  const leased = async (session: WorkerSession) => {
    const id = await aQueuedJob(db, lane.id);
    const [row] = await leaseFrom(db, [lane.id], [session.id]);
    assert.equal(row?.id, id);
    return toDelivery(present(row), lane);
  };
  const promise = (session: WorkerSession) => {
    const slot = present(dispatch.workers.reserveFor(lane));
    assert.equal(slot.session, session);
    return slot;
  };

  describe("join", () => {
    it("holds what the worker presents and the table confirms, without giving it again", async () => {
      const id = await aWorker(db);
      const jobId = await dispatch.holds(id, lane);

      const { session, jobs, stale } = await join({ id, presented: [{ jobId, attempt: 1 }] });

      assert.deepEqual([jobs.length, stale.length], [0, 0]);
      assert.equal(session.find(jobId, 1)?.attempt, 1);
    });

    it("gives what the table says it holds and it does not present", async () => {
      const id = await aWorker(db);
      const jobId = await dispatch.holds(id, lane, { input: '{"a":1}' });

      const { session, jobs } = await join({ id });

      assert.deepEqual(
        jobs.map((job) => [job.id, job.attempt, job.input]),
        [[jobId, 1, '{"a":1}']],
      );
      assert.deepEqual([session.held.size, session.isReady], [1, true]);
    });

    it("gives many of them in messages of bounded size, whatever else they carry", async () => {
      const id = await aWorker(db);
      const held = Array.from({ length: JOBS_PER_MESSAGE_MAX + 1 }, () =>
        aNewJob(lane.id, { workerId: id }),
      );
      await jobInsert(db, held, false);
      const messages: number[] = [];

      await join({
        id,
        slots: held.length,
        sink: {
          isFull: false,
          jobs: (delivered) => messages.push(delivered.length),
          stop: () => assert.fail("nothing was to be stopped"),
          goodbye: () => undefined,
        },
      });

      assert.deepEqual(messages, [JOBS_PER_MESSAGE_MAX, 1]);
    });

    it("names what it presents and does not hold: other attempts, other workers' jobs, jobs made up", async () => {
      const [id, otherId] = [await aWorker(db), await aWorker(db)];
      const own = await dispatch.holds(id, lane);
      const foreign = await dispatch.holds(otherId, lane);
      const presented = [
        { jobId: own, attempt: 2 },
        { jobId: foreign, attempt: 1 },
        { jobId: newJobId(Date.now()), attempt: 1 },
      ];

      const { stale, jobs } = await join({ id, presented });

      assert.deepEqual(stale, presented);
      assert.deepEqual(
        jobs.map((job) => [job.id, job.attempt]),
        [[own, 1]],
      );
    });

    it("welcomes the worker before its first job goes down", async () => {
      const id = await aWorker(db);
      await dispatch.holds(id, lane);
      const { session, jobs } = aSession({ key: { id, connection: 1 } });
      let jobsBefore = -1;

      await dispatch.workers.join(session, ["noop"], [lane.queue], [], () => {
        jobsBefore = jobs.length;
      });

      assert.deepEqual([jobsBefore, jobs.length], [0, 1]);
    });

    it("takes no job before the worker is reconciled", async () => {
      const id = await aWorker(db);
      const { session } = aSession({ key: { id, connection: 1 } });
      session.isReady = false;
      let duringWelcome: unknown = "never welcomed";

      await dispatch.workers.join(session, ["noop"], [lane.queue], [], () => {
        duringWelcome = dispatch.workers.reserveFor(lane);
      });

      assert.equal(duringWelcome, undefined);
      assert.equal(dispatch.workers.reserveFor(lane)?.session, session);
    });

    it("takes the place of the worker's former connection", async () => {
      const former = await join();

      const later = await join({ id: former.session.id });

      assert.equal(former.session.isClosed, true);
      assert.equal(dispatch.workers.byId(former.session.id), later.session);
      assert.deepEqual(dispatch.workers.groupsOf(lane)[0]?.workers, [later.session]);
    });
  });

  describe("leave", () => {
    it("drops the group with its last worker", async () => {
      const [one, other] = [await join(), await join()];

      dispatch.workers.leave(one.session);
      const whileOneStays = dispatch.workers.groupsOf(lane).length;
      dispatch.workers.leave(other.session);

      assert.deepEqual([whileOneStays, dispatch.workers.groupsOf(lane).length], [1, 0]);
      assert.equal(dispatch.workers.byId(one.session.id), undefined);
    });

    it("of a former connection leaves the later one alone", async () => {
      const former = await join();
      const later = await join({ id: former.session.id });

      dispatch.workers.leave(former.session);

      assert.equal(dispatch.workers.byId(later.session.id), later.session);
    });
  });

  describe("reserveFor", () => {
    it("promises nothing while jobs wait in the lane, or in another one of the same workers", async () => {
      const other = await dispatch.lane(`${lane.queue}-other`, {});
      other.markEmpty(other.wakeUps);
      const { session } = await join({ queues: [lane.queue, other.queue] });

      lane.markBacklog();
      const whileItsOwn = dispatch.workers.reserveFor(lane);
      lane.markEmpty(lane.wakeUps);
      other.markBacklog();
      const whileAnothers = dispatch.workers.reserveFor(lane);
      other.markEmpty(other.wakeUps);

      assert.deepEqual([whileItsOwn, whileAnothers], [undefined, undefined]);
      assert.equal(dispatch.workers.reserveFor(lane)?.session, session);
    });

    it("promises each slot once", async () => {
      await join({ slots: 2 });

      const slots = Array.from({ length: 3 }, () => dispatch.workers.reserveFor(lane));

      assert.deepEqual(
        slots.map((slot) => slot !== undefined),
        [true, true, false],
      );
    });
  });

  describe("deliver", () => {
    it("gives each job to the slot of its place, and frees the slots without one", async () => {
      const [one, other] = [await join(), await join()];
      const slots = [
        present(dispatch.workers.reserveFor(lane)),
        present(dispatch.workers.reserveFor(lane)),
      ];
      const [first, second] = slots.map((slot) => (slot.session === one.session ? one : other));
      const job = await leased(present(first).session);

      dispatch.workers.deliver([job, undefined], slots);

      assert.deepEqual(
        [first?.jobs.map(({ id }) => id), second?.jobs.length, second?.session.freeCount],
        [[job.id], 0, 1],
      );
    });

    it("of a job for a worker that connected anew meanwhile reaches its new connection, once", async () => {
      const former = await join();
      const slot = promise(former.session);
      const later = await join({ id: former.session.id });
      const job = await leased(former.session);

      dispatch.workers.deliver([job], [slot]);
      await until(() => later.jobs.length > 0 && later.session.isReady);

      assert.deepEqual([former.jobs.length, later.jobs.map(({ id }) => id)], [0, [job.id]]);
      assert.equal(later.session.held.size, 1);
    });

    it("of a job that a reconciliation found first does not give it twice", async () => {
      const { session, jobs } = await join({ slots: 2 });
      const slot = promise(session);
      const job = await leased(session);

      dispatch.workers.reconcile(session.id);
      await until(() => jobs.length === 1 && session.isReady);
      dispatch.workers.deliver([job], [slot]);
      await until(() => session.isReady);

      assert.deepEqual(
        jobs.map(({ id }) => id),
        [job.id],
      );
      assert.equal(session.freeCount, 1);
    });

    it("of a job that was leased while a reconciliation read the table is not lost", async () => {
      const { session, jobs } = await join({ slots: 2 });
      const slot = promise(session);

      // Reads before the job is leased, and ends after it was delivered in vain.
      const holding = holdNextAnswer(db);
      dispatch.workers.reconcile(session.id);
      const letGo = await holding;
      const job = await leased(session);
      dispatch.workers.deliver([job], [slot]);
      assert.equal(jobs.length, 0);
      letGo();
      await until(() => jobs.length > 0 && session.isReady);

      assert.deepEqual(
        jobs.map(({ id }) => id),
        [job.id],
      );
    });

    it("to a worker that left gives nothing", async () => {
      const { session, jobs } = await join();
      const slot = promise(session);
      const job = await leased(session);
      dispatch.workers.leave(session);

      dispatch.workers.deliver([job], [slot]);
      await nextTurn();

      assert.equal(jobs.length, 0);
    });
  });

  it("delivers after all what a statement leased whose answer was lost", async () => {
    const { session, jobs } = await join();
    const slot = promise(session);
    const job = await leased(session);

    dispatch.workers.unreserve([slot]);
    await until(() => jobs.length > 0 && session.isReady);

    assert.deepEqual([jobs.map(({ id }) => id), session.freeCount], [[job.id], 0]);
  });

  it("gets nothing new while it is reconciled", async () => {
    const { session } = await join();
    const holding = holdNextAnswer(db);

    dispatch.workers.reconcile(session.id);
    const letGo = await holding;
    const meanwhile = dispatch.workers.reserveFor(lane);
    letGo();
    await until(() => session.isReady);

    assert.equal(meanwhile, undefined);
    assert.equal(dispatch.workers.reserveFor(lane)?.session, session);
  });

  describe("pollOnce", () => {
    it("finds a job that a worker was leased and never given, when it can not be on its way any more", async () => {
      const { session, jobs } = await join({ slots: 2 });
      const jobId = await dispatch.holds(session.id, lane);

      await clock.advance(DELIVERY_MS_MAX);
      await dispatch.workers.pollOnce();
      assert.equal(session.reconcileCount, 0);
      await clock.advance(1);
      await dispatch.workers.pollOnce();
      await until(() => jobs.length > 0);

      assert.equal(jobs[0]?.id, jobId);
    });

    it("leaves those alone that hold what the table says, and those whose outcomes are under way", async () => {
      const id = await aWorker(db);
      const jobIds = [await dispatch.holds(id, lane), await dispatch.holds(id, lane)];
      const { session } = await join({ id, slots: 2 });
      await clock.advance(DELIVERY_MS_MAX + 1);
      const holding = db.holdAnswer("job_succeed");
      const reconciliations = session.reconcileCount;

      await dispatch.workers.pollOnce();
      const reporting = dispatch.outcomes.report(session, [
        { jobId: present(jobIds[0]), attempt: 1, kind: "succeeded" },
      ]);
      await dispatch.workers.pollOnce();
      (await holding)();
      await reporting;

      assert.equal(session.reconcileCount, reconciliations);
    });
  });
});

/** Holds up the next answer of a statement without a name. */
function holdNextAnswer(db: TroubledDatabase): Promise<() => void> {
  return db.holdAnswer("");
}
