import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { exerciseTask, run } from "../test/exercise-task.ts";
import { echoTask } from "./echo.ts";

exerciseTask("echo", () =>
  Promise.resolve({
    task: echoTask(),
    good: {
      "an object": { message: "hi", list: [1, null, true] },
      "a list": ["hello"],
      "a text": "text",
      null: null,
      "a number": 0,
    },
    bad: {},
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }),
);

describe("echo", () => {
  it("returns its input", async () => {
    const input = { message: "hi", nested: { list: [1, 2] } };

    assert.deepEqual(await run(echoTask(), input), input);
  });

  it("keeps a key that is called __proto__", async () => {
    const input: unknown = JSON.parse('{"__proto__":{"polluted":true}}');

    assert.equal(JSON.stringify(await run(echoTask(), input)), '{"__proto__":{"polluted":true}}');
  });

  it("returns bytes that are UTF-8 as text", async () => {
    assert.equal(await run(echoTask(), Buffer.from("test data ✓")), "test data ✓");
  });

  it("returns other bytes as base64", async () => {
    assert.deepEqual(await run(echoTask(), Buffer.from([0xff, 0xfe])), { base64: "//4=" });
  });
});
