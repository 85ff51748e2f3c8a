import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { RecentCount } from "./recent-count.ts";

describe("RecentCount", () => {
  it("counts what happened in the last window", () => {
    const recent = new RecentCount(100);

    for (const atMs of [0, 10, 99]) recent.add(atMs);

    assert.equal(recent.count(99), 3);
  });

  it("remembers the window before, and forgets what is older than two", () => {
    const recent = new RecentCount(100);
    recent.add(0);
    recent.add(100);

    const counts = [150, 200, 250, 400].map((atMs) => recent.count(atMs));

    assert.deepEqual(counts, [2, 1, 1, 0]);
  });

  it("forgets everything after a pause", () => {
    const recent = new RecentCount(100);
    for (let job = 0; job < 5; job += 1) recent.add(50);

    assert.equal(recent.count(10_000), 0);
  });
});
