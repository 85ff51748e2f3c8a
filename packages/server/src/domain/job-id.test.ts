import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";

import { isUuid, jobIdTimeMs, newJobId } from "./job-id.ts";

describe("newJobId", () => {
  it("is a UUIDv7 of shard 0 that carries its instant", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), (nowMs) => {
        const id = newJobId(nowMs);

        assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7000-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        assert.equal(jobIdTimeMs(id), nowMs);
        assert.ok(isUuid(id));
      }),
    );
  });

  it("does not repeat within one millisecond", () => {
    const ids = new Set(Array.from({ length: 100_000 }, () => newJobId(1)));

    assert.equal(ids.size, 100_000);
  });

  it("sorts by its instant", () => {
    const ids = [1, 2, 1_000, 1_000_000, 1_800_000_000_000].map(newJobId);

    assert.deepEqual([...ids].sort(), ids);
  });
});

describe("isUuid", () => {
  for (const text of [
    "",
    "1",
    "01968d34-5a3e-7000-8a2b-3c4d5e6f7a8",
    "01968d345a3e70008a2b3c4d5e6f7a8b",
    "g".repeat(36),
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(isUuid(text), false));
  }
});
