import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";

import { pino } from "pino";

import { watchStrayErrors } from "./stray-errors.ts";

const fail = () => {
  throw new Error("not shown");
};

describe("watchStrayErrors", () => {
  for (const { name, property } of [
    { name: "whose message cannot be read", property: "message" },
    { name: "whose own inspection throws", property: inspect.custom },
  ]) {
    it(`logs an exception ${name} and ends the process in order`, () => {
      const thrown = Object.create(property === "message" ? Error.prototype : null, {
        [property]: { get: fail },
      });
      const lines: string[] = [];
      const logger = pino({ base: null }, { write: (line) => void lines.push(line) });
      let endCount = 0;
      const before = process.listeners("uncaughtException");
      const unwatch = watchStrayErrors(logger, () => (endCount += 1));
      const [onException] = process
        .listeners("uncaughtException")
        .filter((listener) => !before.includes(listener));

      // Called by hand: emitted, it would reach the test runner's own listener too.
      onException?.(thrown, "uncaughtException");
      unwatch();

      assert.equal(endCount, 1);
      assert.deepEqual(
        lines.map((line) => /thrown: an error that cannot be read/.test(line)),
        [true],
      );
    });
  }
});
