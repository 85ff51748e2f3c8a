import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { cutText } from "./cut-text.ts";

describe("cutText", () => {
  it("leaves a text of the length alone and marks the end of a longer one", () => {
    assert.deepEqual([cutText("abc", 3), cutText("abcd", 3)], ["abc", "ab…"]);
  });

  it("leaves a character out rather than half of it", () => {
    assert.deepEqual([cutText("a😀😀", 4), cutText("ab😀😀", 4)], ["a😀…", "ab…"]);
  });

  it("never makes half a character, and never more than was asked for", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme", maxLength: 30 }),
        fc.integer({ min: 1, max: 20 }),
        (text, charactersMax) => {
          const cut = cutText(text, charactersMax);

          assert.ok(cut.isWellFormed() && cut.length <= charactersMax, JSON.stringify(cut));
          assert.ok(cut === text || text.startsWith(cut.slice(0, -1)));
        },
      ),
    );
  });
});
