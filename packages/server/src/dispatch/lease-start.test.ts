import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { LANE_HEAD } from "../store/job-lease.ts";
import { LeaseStart } from "./lease-start.ts";

/** A look from the head that is dear, and for how long after it statements begin elsewhere. */
const DEAR_MS = 200;
const REST_MS = 20 * DEAR_MS;
const BEHIND = { priority: 0, position: 990_000 };

describe("LeaseStart", () => {
  it("is the lane's head as long as looking from there is cheap", () => {
    const start = new LeaseStart();

    for (const atMs of [50, 100, 150]) start.lookedFromHead(50, atMs);
    start.leased(0, 1_000_000);

    assert.equal(start.next(160), LANE_HEAD);
  });

  it("is the head when looking from there was dear once only", () => {
    const start = new LeaseStart();

    start.lookedFromHead(50, 50);
    start.lookedFromHead(DEAR_MS, 300);
    start.leased(0, 1_000_000);

    assert.equal(start.next(300), LANE_HEAD);
  });

  it("is where the last statement ended when the head is dear, and a little before", () => {
    const start = aDearStart();

    assert.deepEqual(start.next(2 * DEAR_MS), BEHIND);
  });

  it("is the head again after a rest", () => {
    const start = aDearStart();

    const restsUntilMs = 2 * DEAR_MS + REST_MS;
    const places = [restsUntilMs - 1, restsUntilMs].map((atMs) => start.next(atMs));

    assert.deepEqual(places, [BEHIND, LANE_HEAD]);
  });

  it("is the head again after ten seconds, however dear that is", () => {
    const start = new LeaseStart();
    for (const atMs of [0, 5_000]) start.lookedFromHead(5_000, atMs);
    start.leased(0, 1_000_000);

    const places = [14_999, 15_000].map((atMs) => start.next(atMs));

    assert.deepEqual(places, [BEHIND, LANE_HEAD]);
  });

  it("is the head again when jobs may stand anywhere", () => {
    const start = aDearStart();

    start.lookFromHead();

    assert.equal(start.next(2 * DEAR_MS), LANE_HEAD);
  });

  it("goes back for a job of a higher priority that is queued here", () => {
    const start = aDearStart();

    start.queued(-1);
    start.queued(0);
    const before = start.next(2 * DEAR_MS);
    start.queued(7);

    assert.deepEqual([before, start.next(2 * DEAR_MS)], [BEHIND, { priority: 7, position: 0 }]);
  });
});

/** After two dear looks from the head, the second of which ended at 2 × DEAR_MS. */
function aDearStart(): LeaseStart {
  const start = new LeaseStart();
  start.lookedFromHead(DEAR_MS, DEAR_MS);
  start.lookedFromHead(DEAR_MS, 2 * DEAR_MS);
  start.leased(0, 1_000_000);
  return start;
}
