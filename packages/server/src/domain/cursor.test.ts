import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";

import { decodeCursor, encodeCursor } from "./cursor.ts";

describe("a cursor", () => {
  it("gives its position back to the list it was made for", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string({ unit: "grapheme" }), (list, position) => {
        assert.equal(decodeCursor(list, encodeCursor(list, position)), position);
      }),
    );
  });

  it("is refused by a list with another filter", () => {
    const cursor = encodeCursor(["jobs", { queue: "a" }], "17");

    assert.equal(decodeCursor(["jobs", { queue: "b" }], cursor), undefined);
  });

  it("is refused after any change of one character", () => {
    const cursor = encodeCursor("jobs", "01968d34-5a3e-7000-8a2b-3c4d5e6f7a8b");
    fc.assert(
      fc.property(
        fc.nat(cursor.length - 1),
        fc.constantFrom("A", "B", "y", "z", "0", "9", "-", "_"),
        (index, character) => {
          fc.pre(cursor[index] !== character);

          const changed = cursor.slice(0, index) + character + cursor.slice(index + 1);

          assert.equal(decodeCursor("jobs", changed), undefined);
        },
      ),
    );
  });

  it("is refused when it is any other text", () => {
    fc.assert(fc.property(fc.string(), (text) => decodeCursor("jobs", text) === undefined));
  });
});
