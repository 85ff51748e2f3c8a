import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { WaitingLine } from "./waiting-line.ts";

type Step =
  | { readonly kind: "push" }
  | { readonly kind: "shift" }
  | { readonly kind: "leave"; readonly which: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: fc.constant<Step>({ kind: "push" }), weight: 3 },
  { arbitrary: fc.constant<Step>({ kind: "shift" }), weight: 2 },
  { arbitrary: fc.nat().map((which): Step => ({ kind: "leave", which })), weight: 1 },
);

describe("WaitingLine", () => {
  it("gives those who still wait in the order in which they came, whoever leaves", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 5_000, size: "max" }), (steps) => {
        const waiting = new Set<number>();
        const line = new WaitingLine<number>((member) => waiting.has(member));
        const shifted: (number | undefined)[] = [];
        const expected: (number | undefined)[] = [];
        let next = 0;
        for (const taken of steps) {
          if (taken.kind === "push") {
            next += 1;
            waiting.add(next);
            line.push(next);
          } else if (taken.kind === "shift") {
            const [first] = waiting;
            expected.push(first);
            shifted.push(line.shift());
            waiting.delete(first ?? 0);
          } else {
            waiting.delete([...waiting][taken.which % (waiting.size || 1)] ?? 0);
          }
        }
        assert.deepEqual(shifted, expected);
      }),
      { numRuns: 50 },
    );
  });
});
