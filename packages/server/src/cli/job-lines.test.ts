import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { readJobLines, type JobLine } from "./job-lines.ts";

const NO_DEFAULTS = { task: undefined, options: {} };

async function* chunks(...parts: readonly (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield Buffer.from(part);
}

async function read(
  text: string | Buffer,
  defaults: Parameters<typeof readJobLines>[1] = NO_DEFAULTS,
): Promise<readonly JobLine[]> {
  return Array.fromAsync(readJobLines(chunks(text), defaults));
}

describe("readJobLines", () => {
  it("reads a task, an input and options", async () => {
    const runAt = "2026-11-22T14:00:00+01:00";
    const text = `{"task":"echo","input":{"a":1},"priority":5,"runAt":"${runAt}","retry":{"baseMs":10},"tags":["x"]}`;

    assert.deepEqual(await read(text), [
      {
        line: 1,
        request: {
          task: "echo",
          input: { a: 1 },
          options: { priority: 5, runAt: new Date(runAt), retry: { baseMs: 10 }, tags: ["x"] },
        },
      },
    ]);
  });

  it("counts empty lines without taking them for jobs", async () => {
    const lines = await read('\n{"task":"a"}\r\n\n  \n{"task":"b"}');

    assert.deepEqual(
      lines.map(({ line, request }) => [line, request.task]),
      [
        [2, "a"],
        [5, "b"],
      ],
    );
  });

  it("takes from the command line what a line leaves out", async () => {
    const defaults = { task: "echo", options: { queue: "bulk", delayMs: 5_000 } };

    const [plain, own] = await read(
      '{"input":1}\n{"task":"x","runAt":"2026-11-22T14:00:00Z"}',
      defaults,
    );

    assert.equal(plain?.request.task, "echo");
    assert.equal(plain?.request.options?.delayMs, 5_000);
    assert.equal(plain?.request.options?.queue, "bulk");
    assert.equal(own?.request.task, "x");
    assert.equal(own?.request.options?.delayMs, undefined);
  });

  it("does not break lines at separators that JSON strings may contain", async () => {
    const input = "one\u2028two\u2029three\u0085four\u000bfive";

    const [line] = await read(JSON.stringify({ task: "echo", input: input.replace("\u000b", "") }));

    assert.equal(line?.request.input, input.replace("\u000b", ""));
  });

  it("reads bytes from base64 when they are no JSON", async () => {
    const [line] = await read('{"task":"echo","input":"AQI=","inputContentType":"image/png"}');

    assert.deepEqual(line?.request.input, Buffer.from([1, 2]));
  });

  const bad: readonly (readonly [string, string, RegExp])[] = [
    ["no JSON", '{"task":"a"}\n{oops}', /^line 2 is not JSON: unexpected "o" at column 2$/],
    ["no object", "[1]", /^Line 1 is no job: .*object/],
    [
      "no task",
      '{"input":1}',
      /^Line 1 is no job: task: expected the name of a task, received none\.$/,
    ],
    ["an unknown member", '{"task":"a","delay":5}', /^Line 1 is no job: .*"delay"/],
    ["a wrong type", '{"task":"a","priority":"high"}', /^Line 1 is no job: priority: .*expected/],
    ["a negative delay", '{"task":"a","delayMs":-5}', /^Line 1 is no job: delayMs: .*>=0/],
    [
      "a cron expression for a time",
      '{"task":"a","runAt":"*/5 * * * *"}',
      /^Line 1 is no job: runAt: expected a date and time .*looks like a cron expression/,
    ],
    [
      "a wrong strategy",
      '{"task":"a","retry":{"strategy":"never"}}',
      /^Line 1 is no job: retry\.strategy: /,
    ],
    [
      "bytes that are not base64",
      '{"task":"a","input":"?","inputContentType":"a/b"}',
      /^Line 1 .*expected base64/,
    ],
  ];
  for (const [what, text, message] of bad) {
    it(`names the line of ${what}`, async () => {
      await assert.rejects(read(text), { message });
    });
  }

  it("refuses bytes that are not UTF-8", async () => {
    await assert.rejects(read(Buffer.from([0x22, 0xff, 0x22])), { message: "line 1 is not UTF-8" });
  });

  it("reads the same jobs however the file is cut into chunks", async () => {
    const inputs = fc.array(fc.string({ unit: "binary" }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(inputs, fc.integer({ min: 1, max: 7 }), async (texts, size) => {
        const wellFormed = texts.map((text) => text.toWellFormed());
        const bytes = Buffer.from(
          wellFormed.map((input) => `${JSON.stringify({ task: "echo", input })}\n`).join(""),
        );
        const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
          bytes.subarray(index * size, (index + 1) * size),
        );

        const lines = await Array.fromAsync(readJobLines(chunks(...parts), NO_DEFAULTS));

        assert.deepEqual(
          lines.map(({ request }) => request.input),
          wellFormed,
        );
      }),
      { numRuns: 50 },
    );
  });
});
