import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { barLines, BARS } from "./bars.ts";
import type { Sample } from "./figures.ts";

function speedOf(row: string, value: number): Sample {
  const figure = { name: "throughput", unit: "jobs/s" };
  return { scenario: "end-to-end", figure, row, durability: "", round: 1, value };
}

describe("bars", () => {
  it("a run that measured nothing reaches nothing and misses nothing", () => {
    assert.deepEqual(barLines([]), []);
  });

  it("a ratio at the bar has reached it", () => {
    const lines = barLines([speedOf("Baton", 25_000), speedOf("Graphile Worker", 10_000)]);

    assert.deepEqual(lines, ["reached      end to end to Graphile Worker: 2.5 × (bar: ≥ 2.5 ×)"]);
  });

  it("a ratio below the bar has not, and is not rounded up to it", () => {
    const lines = barLines([speedOf("Baton", 24_900), speedOf("Graphile Worker", 10_000)]);

    assert.deepEqual(lines, ["NOT reached  end to end to Graphile Worker: 2.49 × (bar: ≥ 2.5 ×)"]);
  });

  it("less is better where the bar is the most that is allowed", () => {
    const figure = { name: "until /ready answers", unit: "s", isLessBetter: true };
    const start = { ...speedOf("Baton", 1.5), scenario: "start", figure };

    assert.deepEqual(barLines([start]), [
      "reached      start on an existing data directory until /ready: 1.5 s (bar: ≤ 2 s)",
    ]);
  });

  it("every bar has a name of its own", () => {
    assert.equal(new Set(BARS.map((bar) => bar.name)).size, BARS.length);
  });
});
