import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { LANE_HEAD } from "../store/job-lease.ts";
import { LeaseStart } from "./lease-start.ts";

/** How long looks from the head take, and for how long after them statements begin elsewhere. */
const LOOK_MS = 20;
const REST_MS = 10 * LOOK_MS;
const END = { priority: 0, position: 1_000 };

describe("LeaseStart", () => {
  it("is the lane's head at first", () => {
    assert.equal(new LeaseStart().next(0), LANE_HEAD);
  });

  it("is where the last statement ended when the head was looked at just now", () => {
    const start = aRestingStart();

    assert.deepEqual(start.next(2 * LOOK_MS), END);
  });

  it("is the head again after ten times as long as looking from there takes", () => {
    const start = aRestingStart();

    const restsUntilMs = 2 * LOOK_MS + REST_MS;
    const places = [restsUntilMs - 1, restsUntilMs].map((atMs) => start.next(atMs));

    assert.deepEqual(places, [END, LANE_HEAD]);
  });

  it("is the head soon when looking from there took long once only", () => {
    const start = new LeaseStart();
    start.lookedFromHead(1, 1, true);
    start.lookedFromHead(5_000, 6_000, true);
    start.leased(0, 1_000);

    const places = [6_009, 6_010].map((atMs) => start.next(atMs));

    assert.deepEqual(places, [END, LANE_HEAD]);
  });

  for (const [tookMs, expected] of [
    [LOOK_MS, LANE_HEAD],
    [200, END],
  ] as const) {
    const place = expected === END ? "where the last statement ended" : "the head";
    it(`is ${place} when a look of ${tookMs} ms found less than was wanted`, () => {
      const start = new LeaseStart();
      for (const atMs of [tookMs, 2 * tookMs]) start.lookedFromHead(tookMs, atMs, false);
      start.leased(END.priority, END.position);

      assert.deepEqual(start.next(2 * tookMs), expected);
    });
  }

  it("is the head again after half a minute, however long looking from there takes", () => {
    const start = new LeaseStart();
    for (const atMs of [0, 5_000]) start.lookedFromHead(5_000, atMs, true);
    start.leased(0, 1_000);

    const places = [34_999, 35_000].map((atMs) => start.next(atMs));

    assert.deepEqual(places, [END, LANE_HEAD]);
  });

  it("tells how long dear looks from the head rest, and nothing of cheap ones", () => {
    const dear = new LeaseStart();
    for (const atMs of [100, 200]) dear.lookedFromHead(100, atMs, false);
    const cheap = aRestingStart();

    assert.deepEqual(
      [200, 1_199, 1_200].map((atMs) => dear.dearRestMs(atMs)),
      [1_000, 1, 0],
    );
    assert.equal(cheap.dearRestMs(2 * LOOK_MS), 0);
  });

  it("is the head again when jobs may stand anywhere", () => {
    const start = aRestingStart();

    start.lookFromHead();

    assert.equal(start.next(2 * LOOK_MS), LANE_HEAD);
  });

  it("goes back for a job of a higher priority that is queued here", () => {
    const start = aRestingStart();

    start.queued(-1);
    start.queued(0);
    const before = start.next(2 * LOOK_MS);
    start.queued(7);

    assert.deepEqual([before, start.next(2 * LOOK_MS)], [END, { priority: 7, position: 0 }]);
  });
});

/** After two looks from the head, the second of which ended at 2 × LOOK_MS. */
function aRestingStart(): LeaseStart {
  const start = new LeaseStart();
  start.lookedFromHead(LOOK_MS, LOOK_MS, true);
  start.lookedFromHead(LOOK_MS, 2 * LOOK_MS, true);
  start.leased(END.priority, END.position);
  return start;
}
