import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { exerciseTask, run } from "../test/exercise-task.ts";
import { endsForGood, transient } from "../test/refusals.ts";
import { testContext } from "../test/task-context.ts";
import { testSleepTask } from "./test-sleep.ts";

exerciseTask("test_sleep", () =>
  Promise.resolve({
    task: testSleepTask(),
    good: { "no sleep": { durationMs: 0 }, "a short sleep": { durationMs: 5 } },
    bad: {
      "more than an hour": { durationMs: 3_600_001 },
      "a negative sleep": { durationMs: -1 },
      "half a millisecond": { durationMs: 0.5 },
      "a text": { durationMs: "10" },
      "no number": { durationMs: null },
      "a field that is unknown": { durationMs: 1, duration: 1 },
      "no object": 5,
      "a list": [],
      "too many failures": { durationMs: 1, failTimes: 1_001 },
    },
    long: { input: { durationMs: 60_000 } },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }),
);

describe("test_sleep", () => {
  it("sleeps for as long as it was told", async () => {
    const startedAtMs = performance.now();

    await run(testSleepTask(), { durationMs: 60 });

    assert.ok(performance.now() - startedAtMs >= 60);
  });

  it("reports its progress up to 100 percent", async () => {
    const context = testContext();

    await run(testSleepTask(), { durationMs: 2_000 }, context);

    assert.ok(context.progress.length >= 10);
    assert.deepEqual(context.progress.at(-1), { percent: 100 });
  });

  for (const [attempt, failTimes] of [
    [1, 1],
    [2, 2],
    [1, 1_000],
  ] as const) {
    it(`fails attempt ${attempt} when told to fail ${failTimes} times`, async () => {
      await assert.rejects(
        run(testSleepTask(), { durationMs: 0, failTimes }, testContext({ attempt })),
        transient(/was told to fail/),
      );
    });
  }

  it("succeeds in the attempt after the last that fails", async () => {
    const result = await run(
      testSleepTask(),
      { durationMs: 0, failTimes: 2 },
      testContext({ attempt: 3 }),
    );

    // How long it slept is the machine's.
    assert.deepEqual({ ...Object(result), sleptMs: 0 }, { sleptMs: 0, attempt: 3 });
  });

  it("fails for good when told to die", async () => {
    await assert.rejects(
      run(testSleepTask(), { durationMs: 0, dies: true }),
      endsForGood("told_to_fail", /told to die/),
    );
  });

  it("takes a payload that is no JSON for a sleep of 30 s", async () => {
    const controller = new AbortController();
    const context = testContext({ signal: controller.signal });
    const reason = new Error("stop");

    const running = run(testSleepTask(), Buffer.from("test data"), context);
    const ended = assert.rejects(running, reason);
    await context.underWay;
    controller.abort(reason);
    await ended;

    // A step is a twentieth of the whole, and the first report comes after one.
    assert.deepEqual(context.progress, [{ percent: 5 }]);
  });
});
