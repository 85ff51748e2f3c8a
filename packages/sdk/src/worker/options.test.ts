import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { task } from "../task.ts";
import type { Task } from "../task.ts";
import { resolveWorkerOptions } from "./options.ts";

const echo = task({ name: "echo", run: (input: unknown) => input });

describe("resolveWorkerOptions", () => {
  it("has defaults for everything but tasks", () => {
    const settings = resolveWorkerOptions({ tasks: [echo], address: "localhost:9000" });

    assert.deepEqual(settings.queues, ["default"]);
    assert.deepEqual([settings.slots, settings.prefetch, settings.leaseMs], [10, 0, 7_000]);
    assert.match(settings.name, new RegExp(`-${process.pid}$`));
  });

  const bad: readonly [string, object, RegExp][] = [
    ["no slots", { slots: 0 }, /slots must be an integer of 1 to 10000, got 0/],
    ["too many slots", { slots: 10_001 }, /slots/],
    ["half a slot", { slots: 1.5 }, /slots/],
    ["a negative prefetch", { prefetch: -1 }, /prefetch/],
    ["a lease that is too short", { leaseMs: 100 }, /leaseMs must be an integer of 2000 to 600000/],
    ["no tasks", { tasks: [] }, /at least one task, got \[\]$/],
    ["one task alone", { tasks: echo }, /must be an array .*, got \{/],
    [
      "something that is no task",
      { tasks: [{ name: "x" }] },
      /tasks\[0\] must be made by task\(\), got \{ name: 'x' \}/,
    ],
    [
      "two tasks of one name",
      { tasks: [echo, task({ name: "x", run: () => 1 }), echo] },
      /tasks\[0\] and tasks\[2\] both have the name "echo"; a worker runs one task of each name/,
    ],
    ["a queue that is no text", { queues: [1] }, /queues must be an array of strings, got \[ 1 \]/],
    ["one queue alone", { queues: "a" }, /queues must be an array of strings, got "a"/],
    ["a label that is no text", { labels: { gpu: 1 } }, /labels\.gpu must be a string, got 1/],
    ["an address with a scheme", { address: "http://localhost:9000" }, /must be host:port/],
  ];
  for (const [what, options, message] of bad) {
    it(`refuses ${what}`, () => {
      assert.throws(() => resolveWorkerOptions({ tasks: [echo], ...options }), {
        name: "BatonError",
        code: "invalid_argument",
        message,
      });
    });
  }

  it("takes tasks of different types in one array", () => {
    const tasks: readonly Task[] = [echo, task({ name: "other", run: (n: number) => n })];

    assert.equal(resolveWorkerOptions({ tasks }).tasks.size, 2);
  });
});
