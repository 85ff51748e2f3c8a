import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { largest, median, percentile, slope } from "./statistics.ts";

describe("percentiles", () => {
  it("the median of an odd number of values is the middle one", () => {
    assert.equal(median([9, 1, 5]), 5);
  });

  it("the median of an even number of values is the mean of the middle two", () => {
    assert.equal(median([4, 1, 3, 2]), 2.5);
  });

  it("sorts by size, not by text", () => {
    assert.equal(percentile([10, 9, 100], 0), 9);
    assert.equal(percentile([10, 9, 100], 100), 100);
  });

  it("interpolates between ranks", () => {
    const hundredAndOne = Array.from({ length: 101 }, (_, index) => index);

    assert.equal(percentile(hundredAndOne, 99), 99);
    assert.equal(percentile([0, 10], 25), 2.5);
  });

  it("takes typed arrays, and leaves their order alone", () => {
    const values = Float64Array.of(3, 1, 2);

    assert.equal(largest(values), 3);
    assert.deepEqual([...values], [3, 1, 2]);
  });

  it("refuses an empty list and a percentage that is none", () => {
    assert.throws(() => median([]), RangeError);
    assert.throws(() => percentile([1], 101), RangeError);
    assert.throws(() => percentile([1], Number.NaN), RangeError);
  });

  it("stays within the values and grows with the percentage", () => {
    const values = fc.array(fc.integer({ min: -1_000, max: 1_000 }), { minLength: 1 });
    const percent = fc.integer({ min: 0, max: 100 });
    fc.assert(
      fc.property(values, percent, percent, (list, a, b) => {
        const low = percentile(list, Math.min(a, b));
        const high = percentile(list, Math.max(a, b));
        assert.ok(low <= high && low >= Math.min(...list) && high <= Math.max(...list));
      }),
    );
  });
});

describe("slope", () => {
  it("is that of the line through points on a line", () => {
    assert.equal(
      slope([
        [0, 1],
        [1, 3],
        [2, 5],
      ]),
      2,
    );
  });

  it("is that of the best line through points beside it", () => {
    assert.equal(
      slope([
        [0, 0],
        [1, 3],
        [2, 0],
        [3, 3],
      ]),
      0.6,
    );
  });

  it("refuses points above each other, and a single one", () => {
    assert.throws(() => slope([[1, 1]]), RangeError);
    assert.throws(
      () =>
        slope([
          [1, 1],
          [1, 2],
        ]),
      RangeError,
    );
  });
});
