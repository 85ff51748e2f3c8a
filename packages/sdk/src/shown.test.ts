import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";

import { inspected, shown } from "./shown.ts";

const fail = () => {
  throw new Error("not shown");
};
/** Values whose own code fails when somebody looks at them. */
const UNSHOWABLE = [
  ["whose own inspection throws", { [inspect.custom]: fail }],
  ["whose prototype cannot be read", new Proxy({}, { getPrototypeOf: fail })],
] as const;

describe("shown and inspected", () => {
  for (const [name, value] of UNSHOWABLE) {
    it(`tell of a value ${name} that it cannot be shown`, () => {
      assert.equal(inspected(value), "a value that cannot be shown");
      assert.equal(shown(value), "a value that cannot be shown");
    });
  }

  it("show a date that is none", () => {
    assert.equal(shown(new Date(Number.NaN)), "an invalid Date");
  });
});
