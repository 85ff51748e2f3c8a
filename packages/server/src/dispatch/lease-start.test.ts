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
    start.leased(0, 1_000, 0);

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
      start.leased(END.priority, END.position, 0);

      assert.deepEqual(start.next(2 * tookMs), expected);
    });
  }

  it("is the head again after half a minute, however long looking from there takes", () => {
    const start = new LeaseStart();
    for (const atMs of [0, 5_000]) start.lookedFromHead(5_000, atMs, true);
    start.leased(0, 1_000, 0);

    const places = [34_999, 35_000].map((atMs) => start.next(atMs));

    assert.deepEqual(places, [END, LANE_HEAD]);
  });

  it("is the head again when a look found too few and looks from there are cheap", () => {
    const start = aRestingStart();

    const emptyForMs = start.foundTooFew(END, 2 * LOOK_MS);

    assert.deepEqual([emptyForMs, start.next(2 * LOOK_MS)], [0, LANE_HEAD]);
  });

  describe("where looks from the head are dear", () => {
    const SECOND = { priority: 0, position: 2_000 };
    const LAST = { priority: 0, position: 4_000 };
    /** Statements ended at END, after 2 seconds at SECOND, after 4 and 5 at LAST. The head rests until 10. */
    const aDearStart = () => {
      const start = new LeaseStart();
      for (const atMs of [-1_000, 0]) start.lookedFromHead(1_000, atMs, false);
      for (const [place, atMs] of [
        [END, 0],
        [SECOND, 2_000],
        [LAST, 4_000],
        [LAST, 5_000],
      ] as const)
        start.leased(place.priority, place.position, atMs);
      return start;
    };

    it("is where statements ended some seconds ago when a look found too few", () => {
      const start = aDearStart();

      const emptyForMs = start.foundTooFew(start.next(5_000), 5_000);
      const back = start.next(5_000);

      assert.deepEqual([emptyForMs, back, start.next(5_000)], [0, END, LAST]);
    });

    it("lets the lane count as empty until the head has rested when that found too few as well", () => {
      const start = aDearStart();
      start.foundTooFew(start.next(5_000), 5_000);

      const emptyForMs = start.foundTooFew(start.next(5_000), 5_000);

      assert.deepEqual(
        [emptyForMs, start.next(9_999), start.next(10_000)],
        [5_000, LAST, LANE_HEAD],
      );
    });

    it("is the head of a higher priority wherever a look begins", () => {
      const start = aDearStart();
      start.foundTooFew(start.next(5_000), 5_000);

      start.queued(7);

      const head = { priority: 7, position: 0 };
      assert.deepEqual([start.next(5_000), start.next(5_000)], [head, head]);
    });
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
  start.leased(END.priority, END.position, 0);
  return start;
}
