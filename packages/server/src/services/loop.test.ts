import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { runEvery } from "./loop.ts";

describe("runEvery", () => {
  it("goes on after a pass that failed, and tells of it", async () => {
    const stopping = new AbortController();
    const errors: unknown[] = [];
    const failure = new Error("once");
    let passes = 0;

    await runEvery(
      { signal: stopping.signal, intervalMs: 1, onError: (error) => errors.push(error) },
      () => {
        passes += 1;
        if (passes === 1) return Promise.reject(failure);
        stopping.abort();
        return Promise.resolve();
      },
    );

    assert.deepEqual([passes, errors], [2, [failure]]);
  });

  it("rests after long passes for so many times their duration, not after the first of them", async () => {
    const rests = await restsBetween([20, 20, 20]);

    // A timer may be early by a millisecond.
    assert.ok(rests[0] !== undefined && rests[0] < 900, `rested ${rests[0]} ms after the first`);
    assert.ok(rests[1] !== undefined && rests[1] >= 999, `rested ${rests[1]} ms after the second`);
  });
});

/** How long it rested between passes of these durations. */
async function restsBetween(passesMs: readonly number[]): Promise<readonly number[]> {
  const stopping = new AbortController();
  const rests: number[] = [];
  let endMs = Number.NaN;
  let pass = 0;
  await runEvery(
    {
      signal: stopping.signal,
      intervalMs: 1,
      restTimes: 50,
      onError: (error) => assert.fail(String(error)),
    },
    () => {
      if (pass > 0) rests.push(performance.now() - endMs);
      busyFor(passesMs[pass] ?? 0);
      pass += 1;
      if (pass === passesMs.length) stopping.abort();
      endMs = performance.now();
      return Promise.resolve();
    },
  );
  return rests;
}

function busyFor(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}
