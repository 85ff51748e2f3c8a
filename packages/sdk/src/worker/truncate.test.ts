import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { truncateBytes, truncateCharacters } from "./truncate.ts";

const bytesMax = fc.integer({ min: 64, max: 300 });
const text = fc.string({ unit: "grapheme", maxLength: 400 });

describe("truncateBytes", () => {
  it("never exceeds its bound and never splits a character", () => {
    fc.assert(
      fc.property(text, bytesMax, (whole, max) => {
        const cut = truncateBytes(whole, max);
        assert.ok(Buffer.byteLength(cut) <= max);
        assert.ok(!cut.includes("\uFFFD") || whole.includes("\uFFFD"));
      }),
    );
  });

  it("leaves alone what fits", () => {
    fc.assert(
      fc.property(text, bytesMax, (whole, max) => {
        fc.pre(Buffer.byteLength(whole) <= max);
        assert.equal(truncateBytes(whole, max), whole);
      }),
    );
  });

  it("ends in a mark with the length of the whole", () => {
    assert.match(truncateBytes("ä".repeat(100), 64), /^ä+… \[cut, 200 bytes\]$/);
  });
});

describe("truncateCharacters", () => {
  it("never exceeds its bound", () => {
    assert.equal(truncateCharacters("x".repeat(99), 64).length, 64);
    assert.equal(truncateCharacters("x".repeat(64), 64), "x".repeat(64));
  });
});
