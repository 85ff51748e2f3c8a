import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { WorkerState } from "../../domain/views.ts";
import { createCapacity } from "./master-capacity.ts";

/** A capacity over a fleet and a clock that the test moves. */
function aCapacity(options: {
  readonly states?: readonly WorkerState[];
  readonly pending?: number;
}) {
  const world = {
    nowMs: 0,
    states: options.states ?? ["active"],
    pending: options.pending ?? 0,
    lookCount: 0,
  };
  const capacity = createCapacity(
    {
      workerList: async () => {
        world.lookCount += 1;
        return world.states.map((state) => ({
          id: "w",
          name: "w",
          state,
          server: "s",
          host: "h",
          pid: 1,
          sdk: "s/1",
          slots: 1,
          runningCount: 0,
          tasks: [],
          queues: [],
          labels: {},
          connectedAt: new Date(0),
          seenAt: new Date(0),
        }));
      },
      jobCounts: async () => ({ pending: world.pending, running: 0, dead: 0 }),
    },
    () => world.nowMs,
  );
  return { world, capacity };
}

describe("createCapacity", () => {
  for (const state of ["active", "draining"] as const) {
    it(`is open with a worker that is ${state}`, async () => {
      const { capacity } = aCapacity({ states: ["gone", state] });

      assert.equal((await capacity.check()).kind, "open");
    });
  }

  for (const states of [[], ["gone"], ["detached"]] as const) {
    it(`is unavailable with workers ${JSON.stringify(states)}`, async () => {
      const { capacity } = aCapacity({ states });

      assert.equal((await capacity.check()).kind, "unavailable");
    });
  }

  it("is overloaded from 10,000 pending jobs on", async () => {
    const kinds = await Promise.all(
      [9_999, 10_000].map(async (pending) => (await aCapacity({ pending }).capacity.check()).kind),
    );

    assert.deepEqual(kinds, ["open", "overloaded"]);
  });

  it("looks once a second while it is open", async () => {
    const { world, capacity } = aCapacity({});

    for (const nowMs of [0, 1, 999, 1_000, 1_999, 2_000]) {
      world.nowMs = nowMs;
      await capacity.check();
    }

    assert.equal(world.lookCount, 3);
  });

  it("looks again at once while it is not open", async () => {
    const { world, capacity } = aCapacity({ states: [] });
    await capacity.check();

    world.states = ["active"];
    const verdict = await capacity.check();

    assert.equal(verdict.kind, "open");
  });

  it("counts what it let in since it looked", async () => {
    const { world, capacity } = aCapacity({ pending: 9_998 });
    await capacity.check();
    capacity.countAccepted();
    await capacity.check();
    capacity.countAccepted();
    world.pending = 10_000;

    const verdict = await capacity.check();

    assert.equal(verdict.kind, "overloaded");
    assert.equal(world.lookCount, 2);
  });

  it("looks once for all who ask at the same time", async () => {
    const { world, capacity } = aCapacity({});

    await Promise.all(Array.from({ length: 100 }, () => capacity.check()));

    assert.equal(world.lookCount, 1);
  });

  it("looks again after a look that failed", async () => {
    let isAway = true;
    const { capacity } = aCapacity({});
    const failing = createCapacity({
      workerList: async () => {
        if (isAway) throw new Error("away");
        return [];
      },
      jobCounts: async () => ({ pending: 0, running: 0, dead: 0 }),
    });
    await assert.rejects(failing.check(), /away/);

    isAway = false;

    assert.equal((await failing.check()).kind, "unavailable");
    assert.equal((await capacity.check()).kind, "open");
  });
});
