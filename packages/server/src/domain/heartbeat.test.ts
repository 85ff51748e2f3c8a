import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { heartbeatIntervalMs, idleHeartbeatIntervalMs, idleSilenceMsMax } from "./heartbeat.ts";

describe("the rhythm of a worker", () => {
  for (const [leaseMs, intervalMs, idleIntervalMs, silenceMs] of [
    [2_000, 500, 4_000, 6_000],
    [7_000, 1_750, 14_000, 21_000],
    [60_000, 15_000, 30_000, 90_000],
    [600_000, 150_000, 150_000, 750_000],
  ] as const) {
    it(`with a lease of ${leaseMs} ms is ${intervalMs} ms, without jobs ${idleIntervalMs} ms`, () => {
      const rhythm = [heartbeatIntervalMs, idleHeartbeatIntervalMs, idleSilenceMsMax].map((of) =>
        of(leaseMs),
      );

      assert.deepEqual(rhythm, [intervalMs, idleIntervalMs, silenceMs]);
    });
  }
});
