import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { LANE_HEAD } from "../store/job-lease.ts";
import { LeaseStart } from "./lease-start.ts";

/** A look from the head that is dear, and how long it lets statements begin elsewhere. */
const DEAR_MS = 200;
const REST_MS = 20 * DEAR_MS;

describe("LeaseStart", () => {
  it("is the lane's head as long as looking from there is cheap", () => {
    const start = new LeaseStart();

    start.lookedFromHead(50, 50);
    start.leased(0, 1_000_000);

    assert.equal(start.next(60), LANE_HEAD);
  });

  it("is where the last statement ended when the head is dear, and a little before", () => {
    const start = new LeaseStart();

    start.lookedFromHead(DEAR_MS, DEAR_MS);
    start.leased(5, 1_000_000);

    assert.deepEqual(start.next(300), { priority: 5, position: 990_000 });
  });

  it("is the head again after a rest", () => {
    const start = new LeaseStart();
    start.lookedFromHead(DEAR_MS, DEAR_MS);
    start.leased(0, 1_000_000);

    const places = [DEAR_MS + REST_MS - 1, DEAR_MS + REST_MS].map((atMs) => start.next(atMs));

    assert.deepEqual(places, [{ priority: 0, position: 990_000 }, LANE_HEAD]);
  });

  it("goes back for a job of a higher priority that is queued here", () => {
    const start = new LeaseStart();
    start.lookedFromHead(DEAR_MS, DEAR_MS);
    start.leased(0, 1_000_000);

    start.queued(-1);
    start.queued(0);
    const before = start.next(300);
    start.queued(7);

    assert.deepEqual(
      [before, start.next(300)],
      [
        { priority: 0, position: 990_000 },
        { priority: 7, position: 0 },
      ],
    );
  });
});
