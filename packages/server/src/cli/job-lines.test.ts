import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { CliError } from "./failure.ts";
import { checkJobLines, readJobLines, type JobLine } from "./job-lines.ts";

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
    [
      "a negative delay",
      '{"task":"a","delayMs":-5}',
      /^Line 1 is no job: delayMs: .*>=0, received -5\.$/,
    ],
    [
      "a priority that no message can carry",
      '{"task":"a","priority":8589934592}',
      /^Line 1 is no job: priority: .*<=2147483647, received 8589934592\.$/,
    ],
    [
      "half of a character in a key",
      '{"task":"a","uniqueKey":"a\\ud800"}',
      /^Line 1 is no job: uniqueKey: .*lone surrogate.*, received "a\\ud800"\.$/,
    ],
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

  it("names all wrong lines of what it has read when it meets the first", async () => {
    const text = '{"task":"a"}\n{oops}\n\n{"task":"b"}\n[1]\n{"task":"c"';

    await assert.rejects(read(text), {
      message: "2 lines are no jobs.",
      code: "invalid_argument",
      details: {
        itemCount: 2,
        items: [
          {
            line: 2,
            code: "malformed_json",
            message: 'line 2 is not JSON: unexpected "o" at column 2',
          },
          {
            line: 5,
            code: "invalid_argument",
            message: "Line 5 is no job: Invalid input: expected object, received array.",
          },
        ],
      },
    });
  });

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

describe("checkJobLines", () => {
  it("counts the jobs of a file", async () => {
    assert.equal(await checkJobLines(chunks('{"task":"a"}\n\n{"task":"b"}'), NO_DEFAULTS), 2);
  });

  it("names every wrong line, in all chunks", async () => {
    const parts = ['{"task":"a"}\n{oo', 'ps}\n{"task":"b"}\n', '{"task":5}'];

    await assert.rejects(checkJobLines(chunks(...parts), NO_DEFAULTS), (error) => {
      assert.deepEqual(linesOf(error), [2, 4]);
      return true;
    });
  });

  it("names the first 100 and counts the rest", async () => {
    await assert.rejects(checkJobLines(chunks("{\n".repeat(2_500)), NO_DEFAULTS), (error) => {
      assert.deepEqual(
        linesOf(error),
        Array.from({ length: 100 }, (_, index) => index + 1),
      );
      assert.match(String(error), /2,500 lines are no jobs\./);
      return true;
    });
  });

  it("says the same of a single wrong line as when it is read", async () => {
    await assert.rejects(checkJobLines(chunks('{"task":"a"}\n[1]'), NO_DEFAULTS), {
      message: "Line 2 is no job: Invalid input: expected object, received array.",
      details: { line: 2 },
    });
  });

  it("does not read on after a line without end, but names those before", async () => {
    const parts = ["{\n", "x".repeat(65 * 1024 * 1024), "\n{"];

    await assert.rejects(checkJobLines(chunks(...parts), NO_DEFAULTS), (error) => {
      assert.deepEqual(linesOf(error), [1, 2]);
      return true;
    });
  });
});

function linesOf(error: unknown): readonly number[] {
  assert.ok(error instanceof CliError);
  const items = error.details["items"];
  assert.ok(Array.isArray(items));
  return items.map(({ line }: { readonly line: number }) => line);
}
