import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { aDelivery, aLoneLane, aSession } from "../../test/a-session.ts";
import { WorkerGroup } from "./worker-group.ts";
import type { WorkerSession } from "./worker-session.ts";

describe("WorkerGroup", () => {
  describe("pick", () => {
    it("gives none when nobody has a free slot", () => {
      const { group, join } = aGroup();
      const worker = join(1);
      worker.reserve();

      assert.equal(group.pick(), undefined);
    });

    it("takes turns between workers that are equally loaded", () => {
      const { group, join } = aGroup();
      const workers = [join(10), join(10), join(10)];

      const picked = Array.from({ length: 6 }, () => group.pick());

      assert.deepEqual(picked.map(indexIn(workers)), [0, 1, 2, 0, 1, 2]);
    });

    it("takes the least loaded, whoever's turn it is", () => {
      const { group, join } = aGroup();
      const [busy, idle] = [join(10), join(10)];
      hold(busy, 3);

      const picked = Array.from({ length: 4 }, () => group.pick());

      assert.deepEqual(picked, [idle, idle, idle, idle]);
    });

    it("passes over workers whose slots are taken, that drain or that are not ready", () => {
      const { group, join } = aGroup();
      const [full, draining, unready, free] = [join(1), join(5), join(5), join(5)];
      hold(full, 1);
      draining.isDraining = true;
      unready.isReady = false;
      group.recount();

      assert.deepEqual([group.pick(), group.pick(), group.freeCount], [free, free, 5]);
    });
  });

  describe("reserve", () => {
    it("spreads slots evenly over workers, each promised once", () => {
      const { group, join } = aGroup();
      const workers = [join(2), join(2), join(2)];

      const slots = group.reserve(4);

      assert.deepEqual(
        workers.map((worker) => slots.filter((slot) => slot === worker).length),
        [2, 1, 1],
      );
      assert.equal(group.freeCount, 2);
    });

    it("gives what there is when more is asked for, and all of it", () => {
      const { group, join } = aGroup();
      const workers = [join(1), join(3)];

      const slots = group.reserve(10);

      assert.deepEqual(slots.map(indexIn(workers)), [0, 1, 1, 1]);
      assert.deepEqual([group.freeCount, group.reserve(10)], [0, []]);
    });

    it("counts prefetch as slots", () => {
      const { group, join } = aGroup();
      join(1, 2);

      assert.equal(group.reserve(10).length, 3);
    });
  });

  describe("freeCount", () => {
    it("follows promises, jobs that come and go, and workers that leave", () => {
      const { group, join } = aGroup();
      const [one, other] = [join(2), join(3)];
      const counts = [group.freeCount];
      const count = (): void => void counts.push(group.freeCount);

      one.reserve();
      count();
      one.release();
      const held = one.hold(aDelivery(aLoneLane()), 0);
      count();
      one.letGo(held, 0);
      count();
      group.workers.splice(group.workers.indexOf(other), 1);
      group.recount();
      count();

      assert.deepEqual(counts, [5, 4, 4, 5, 2]);
    });

    it("is counted anew from its workers when it says more than they have", () => {
      const { group, join } = aGroup();
      const worker = join(1);
      hold(worker, 1);
      group.freeChanged(5);

      assert.deepEqual([group.reserve(1), group.freeCount], [[], 0]);
    });
  });

  describe("onFree", () => {
    it("is called when a slot becomes free while jobs may wait, not else", () => {
      const { group, join, freed } = aGroup();
      const lane = aLoneLane();
      const worker = join(1);
      const held = worker.hold(aDelivery(lane), 0);

      worker.letGo(held, 0);
      assert.equal(freed(), 0);
      group.addLane(lane);
      const again = worker.hold(aDelivery(lane), 0);
      assert.equal(freed(), 0);
      worker.letGo(again, 0);

      assert.equal(freed(), 1);
    });
  });

  describe("its lanes", () => {
    it("can be run when both their queue and their task are its own", () => {
      const { group } = aGroup();

      assert.equal(group.canRun(aLoneLane(1, "noop", "default")), true);
      assert.equal(group.canRun(aLoneLane(2, "other", "default")), false);
      assert.equal(group.canRun(aLoneLane(3, "noop", "other")), false);
    });

    it("take turns when more of them may have jobs than one statement looks at", () => {
      const { group } = aGroup();
      for (let id = 0; id < 5; id += 1) group.addLane(aLoneLane(id));

      const looks = Array.from({ length: 5 }, () =>
        group.lanesWithBacklog(2).map((lane) => lane.id),
      );

      assert.deepEqual(looks, [
        [0, 1],
        [2, 3],
        [4, 0],
        [1, 2],
        [3, 4],
      ]);
    });

    it("are passed over when they are empty or paused, and count no backlog", () => {
      const { group } = aGroup();
      const [empty, paused, full] = [aLoneLane(0), aLoneLane(1), aLoneLane(2)];
      for (const lane of [empty, paused, full]) group.addLane(lane);

      empty.markEmpty(empty.wakeUps);
      paused.setPaused(true);

      assert.deepEqual(group.lanesWithBacklog(3), [full]);
      assert.equal(group.backlogCount, 1);
    });

    it("have their backlog back when somebody wakes or resumes them", () => {
      const { group } = aGroup();
      const [woken, resumed] = [aLoneLane(0), aLoneLane(1)];
      woken.markEmpty(woken.wakeUps);
      resumed.setPaused(true);
      for (const lane of [woken, resumed]) group.addLane(lane);
      assert.equal(group.backlogCount, 0);

      woken.markBacklog();
      resumed.setPaused(false);

      assert.equal(group.backlogCount, 2);
    });

    it("stay woken when they were woken after the look that found them empty began", () => {
      const { group } = aGroup();
      const lane = aLoneLane();
      group.addLane(lane);

      const before = lane.wakeUps;
      lane.markBacklog();
      lane.markEmpty(before);

      assert.deepEqual(group.lanesWithBacklog(1), [lane]);
    });
  });
});

/** A group for the task "noop" of the queue "default", without workers. */
function aGroup() {
  let freed = 0;
  const group = new WorkerGroup("key", ["noop"], ["default"], () => {
    freed += 1;
  });
  const join = (slots: number, prefetch = 0): WorkerSession => {
    const { session } = aSession({ slots, prefetch });
    session.group = group;
    group.workers.push(session);
    group.recount();
    return session;
  };
  return { group, join, freed: () => freed };
}

function hold(worker: WorkerSession, count: number): void {
  for (let job = 0; job < count; job += 1) worker.hold(aDelivery(aLoneLane()), 0);
}

function indexIn(workers: readonly WorkerSession[]) {
  return (worker: WorkerSession | undefined): number =>
    worker === undefined ? -1 : workers.indexOf(worker);
}
