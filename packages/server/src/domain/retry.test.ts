import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";

import { RETRY_BASE_MS_MAX, RETRY_MAX_MS_MAX } from "./limits.ts";
import { RETRY_JITTERS, RETRY_STRATEGIES, retryDelayMs } from "./retry.ts";

const policies = fc.record({
  strategy: fc.constantFrom(...RETRY_STRATEGIES),
  jitter: fc.constantFrom(...RETRY_JITTERS),
  baseMs: fc.integer({ min: 0, max: RETRY_BASE_MS_MAX }),
  maxMs: fc.integer({ min: 0, max: RETRY_MAX_MS_MAX }),
});
const failures = fc.integer({ min: 1, max: 1_000 });
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe("retryDelayMs", () => {
  for (const [strategy, delays] of [
    ["fixed", [100, 100, 100, 100]],
    ["linear", [100, 200, 300, 400]],
    ["exponential", [100, 200, 400, 500]],
  ] as const) {
    it(`gives ${delays.join(", ")} ms for ${strategy} from 100 with a cap of 500`, () => {
      const policy = { strategy, baseMs: 100, maxMs: 500, jitter: "none" } as const;

      const got = [1, 2, 3, 4].map((failureCount) => retryDelayMs(policy, failureCount, 0.5));

      assert.deepEqual(got, delays);
    });
  }

  it("spreads full jitter from 0 to the delay", () => {
    const policy = { strategy: "fixed", baseMs: 1_000 } as const;

    assert.deepEqual(
      [0, 0.25, 0.999].map((random) => retryDelayMs(policy, 1, random)),
      [0, 250, 999],
    );
  });

  it("defaults to exponential from 1 s with full jitter and a cap of 1 h", () => {
    assert.equal(retryDelayMs({}, 3, 0.5), 2_000);
    assert.equal(retryDelayMs({ jitter: "none" }, 100, 0), 3_600_000);
  });

  it("is a whole number between 0 and the cap for every policy", () => {
    fc.assert(
      fc.property(policies, failures, chance, (policy, failureCount, random) => {
        const delayMs = retryDelayMs(policy, failureCount, random);

        assert.ok(Number.isInteger(delayMs));
        assert.ok(delayMs >= 0 && delayMs <= Math.max(policy.baseMs, policy.maxMs));
      }),
    );
  });

  it("never shrinks from one failure to the next without jitter", () => {
    fc.assert(
      fc.property(policies, failures, (policy, failureCount) => {
        const plain = { ...policy, jitter: "none" } as const;

        assert.ok(retryDelayMs(plain, failureCount, 0) <= retryDelayMs(plain, failureCount + 1, 0));
      }),
    );
  });
});
