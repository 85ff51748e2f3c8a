import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { reconnectDelayMs } from "./reconnect-delay.ts";

const failures = fc.integer({ min: 1, max: 1_000 });
const outageMs = fc.integer({ min: 0, max: 10_000_000 });
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe("reconnectDelayMs", () => {
  it("is at most 200 ms after the first failure", () => {
    fc.assert(
      fc.property(outageMs, random, (outage, chance) => {
        assert.ok(reconnectDelayMs(1, outage, chance) <= 200);
      }),
    );
  });

  it("is at most 2 s in the first minute and 10 s after it", () => {
    fc.assert(
      fc.property(failures, outageMs, random, (count, outage, chance) => {
        assert.ok(reconnectDelayMs(count, outage, chance) <= (outage < 60_000 ? 2_000 : 10_000));
      }),
    );
  });

  it("is spread over the whole range from 0", () => {
    assert.equal(reconnectDelayMs(4, 0, 0), 0);
    assert.equal(reconnectDelayMs(4, 0, 0.5), 800);
  });
});
