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

  it("rests after a long pass for so many times its duration", async () => {
    const stopping = new AbortController();
    const errors: unknown[] = [];
    const startMs: number[] = [];
    const endMs: number[] = [];

    await runEvery(
      {
        signal: stopping.signal,
        intervalMs: 1,
        restTimes: 5,
        onError: (error) => errors.push(error),
      },
      () => {
        startMs.push(performance.now());
        if (startMs.length === 2) stopping.abort();
        busyFor(20);
        endMs.push(performance.now());
        return Promise.resolve();
      },
    );

    const [firstEnd = 0] = endMs;
    const [, secondStart = 0] = startMs;
    // A timer may be early by a millisecond.
    assert.deepEqual(errors, []);
    assert.ok(secondStart - firstEnd >= 99, `rested ${secondStart - firstEnd} ms`);
  });
});

function busyFor(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}
