import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Lease } from "./lease.ts";

describe("Lease", () => {
  it("is over before the first contact", () => {
    assert.equal(new Lease().isOver(0), true);
  });

  it("lasts from when the answered message was sent", () => {
    const lease = new Lease();

    lease.renew(1_000, 500);

    assert.deepEqual([lease.isOver(1_499), lease.isOver(1_500)], [false, true]);
    assert.deepEqual([lease.remainingMs(1_400), lease.remainingMs(2_000)], [100, 0]);
  });

  it("is not shortened by an answer that comes late", () => {
    const lease = new Lease();
    lease.renew(2_000, 500);

    lease.renew(1_000, 500);

    assert.equal(lease.remainingMs(2_000), 500);
  });
});
