import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { agoText, durationText } from "./time-text.ts";

describe("durationText", () => {
  const texts: readonly (readonly [number, string])[] = [
    [-3, "0 ms"],
    [0.4, "0 ms"],
    [999, "999 ms"],
    [1_000, "1.0 s"],
    [59_940, "59.9 s"],
    [60_000, "1 m"],
    [125_000, "2 m 5 s"],
    [3_600_000, "1 h"],
    [5_430_000, "1 h 30 m"],
    [90_000_000, "1 d 1 h"],
  ];
  for (const [ms, text] of texts) {
    it(`says ${text} for ${ms} ms`, () => {
      assert.equal(durationText(ms), text);
    });
  }
});

describe("agoText", () => {
  const now = new Date("2026-11-22T12:00:00Z");

  it("tells past from future", () => {
    assert.equal(agoText(new Date("2026-11-22T11:58:00Z"), now), "2 m ago");
    assert.equal(agoText(new Date("2026-11-22T12:00:04Z"), now), "in 4.0 s");
  });
});
