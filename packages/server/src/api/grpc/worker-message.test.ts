import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LogEntry, Outcome, ProgressReport } from "@baton/sdk/contract";
import fc from "fast-check";
import { JOB_ID } from "../../../test/grpc.ts";
import { OUTCOMES } from "../../domain/job.ts";
import {
  DELAY_MS_MAX,
  ERROR_STACK_CHARACTERS_MAX,
  LOG_MESSAGE_BYTES_MAX,
  NAME_CHARACTERS_MAX,
  PROGRESS_BYTES_MAX,
} from "../../domain/limits.ts";
import { AppError } from "../../errors.ts";
import { logLineFromMessage, outcomeFromMessage, progressFromMessage } from "./worker-message.ts";

const FENCE = { jobId: JOB_ID, attempt: 1 };

describe("logLineFromMessage", () => {
  const line = (fields: string) =>
    logLineFromMessage(
      LogEntry.fromPartial({
        jobId: JOB_ID,
        attempt: 1,
        level: "warn",
        message: "m",
        fields: Buffer.from(fields),
      }),
    );

  for (const [what, fields, kept] of [
    ["an object", '{"n": 12345678901234567890}', '{"n": 12345678901234567890}'],
    ["nothing", "", undefined],
    ["an array", "[1, 2]", '{"value":[1, 2]}'],
    ["a number", " 12345678901234567890", '{"value": 12345678901234567890}'],
    ["null", "null", '{"value":null}'],
    [
      "no JSON",
      "{",
      '{"note":"fields were left out: expected a property name in double quotes or \\"}\\" at line 1, ' +
        'column 2 (character 1), received the end of the text"}',
    ],
    [
      "more than 16 KiB",
      JSON.stringify({ text: "x".repeat(LOG_MESSAGE_BYTES_MAX) }),
      '{"note":"fields were left out: expected at most 16384 bytes, received 16395 bytes"}',
    ],
  ] as const) {
    it(`keeps a line whose fields are ${what}`, () => {
      const { level, message, fields: stored } = line(fields);

      assert.deepEqual([level, message, stored], ["warn", "m", kept]);
    });
  }

  it("takes a level that is none for info, and cuts what is too long", () => {
    const kept = logLineFromMessage(
      LogEntry.fromPartial({
        ...FENCE,
        level: "shout",
        message: `\0${"x".repeat(2 * LOG_MESSAGE_BYTES_MAX)}`,
      }),
    );

    assert.equal(kept.level, "info");
    assert.equal(kept.message, `\uFFFD${"x".repeat(LOG_MESSAGE_BYTES_MAX - 2)}…`);
  });

  for (const [what, at] of [
    ["none", undefined],
    ["one that no clock shows", new Date(Number.NaN)],
    ["one before the calendar", new Date(-8.64e15)],
    ["one behind the calendar", new Date(8.64e15)],
  ] as const) {
    it(`gives a line the time of its arrival that brings ${what}`, () => {
      const before = Date.now();

      const kept = logLineFromMessage({ ...LogEntry.fromPartial(FENCE), at });

      assert.ok(kept.at.getTime() >= before && kept.at.getTime() <= Date.now());
    });
  }

  it("keeps what the clock of the worker says, however wrong it is", () => {
    const at = new Date("1970-01-01T00:00:00.001Z");

    assert.deepEqual(logLineFromMessage(LogEntry.fromPartial({ ...FENCE, at })).at, at);
  });
});

describe("progressFromMessage", () => {
  for (const [what, bytes, kept] of [
    ["JSON", '{"done": 0.5}', '{"done": 0.5}'],
    ["none", undefined, undefined],
    ["no JSON", "half", undefined],
    ["nothing at all", "", undefined],
    ["more than 16 KiB", `"${"x".repeat(PROGRESS_BYTES_MAX)}"`, undefined],
  ] as const) {
    it(`keeps ${kept === undefined ? "no" : "the"} progress that is ${what}`, () => {
      const value = bytes === undefined ? undefined : Buffer.from(bytes);

      const progress = progressFromMessage({ ...ProgressReport.fromPartial(FENCE), value });

      assert.deepEqual(progress, { ...FENCE, value: kept });
    });
  }
});

describe("outcomeFromMessage", () => {
  const outcome = (different: Partial<Outcome>) =>
    outcomeFromMessage(
      { ...Outcome.fromPartial({ ...FENCE, kind: "succeeded" }), ...different },
      1_000,
    );

  it("takes a result as it was written", () => {
    assert.deepEqual(outcome({ result: Buffer.from(' {"n": 1.0} '), durationMs: 5 }), {
      ...FENCE,
      kind: "succeeded",
      durationMs: 5,
      result: ' {"n": 1.0} ',
    });
  });

  it("takes no result for none", () => {
    assert.equal(outcome({}).result, undefined);
    assert.equal(outcome({ result: Buffer.alloc(0) }).result, undefined);
  });

  for (const [what, bytes, code] of [
    ["no JSON", "{", "invalid_result"],
    ["no text", Buffer.from([0x22, 0xff, 0x22]), "invalid_result"],
    ["nested too deep", "[".repeat(300) + "]".repeat(300), "invalid_result"],
    ["too large", `"${"x".repeat(1_000)}"`, "payload_too_large"],
  ] as const) {
    it(`makes a failure of a success whose result is ${what}`, () => {
      const { kind, error, result } = outcome({ result: Buffer.from(bytes), durationMs: 5 });

      assert.deepEqual([kind, error?.code, result], ["failed", code, undefined]);
      assert.match(error?.message ?? "", /^result: expected/);
    });
  }

  it("takes no result of what did not succeed", () => {
    assert.equal(outcome({ kind: "retry", result: Buffer.from("1") }).result, undefined);
  });

  for (const delayMs of [undefined, -1]) {
    it(`makes a failure of a snooze for ${delayMs} ms, which would come back at once for ever`, () => {
      const { kind, error } = outcome({ kind: "snoozed", delayMs });

      assert.deepEqual([kind, error?.code], ["failed", "invalid_outcome"]);
    });
  }

  it("bounds durations and delays", () => {
    const least = outcome({ kind: "retry", durationMs: -5, delayMs: -5 });
    const most = outcome({
      kind: "retry",
      durationMs: Number.MAX_SAFE_INTEGER,
      delayMs: Number.MAX_SAFE_INTEGER,
    });

    assert.deepEqual([least.durationMs, least.delayMs], [0, 0]);
    assert.deepEqual([most.durationMs, most.delayMs], [2 ** 31 - 1, DELAY_MS_MAX]);
  });

  it("keeps an error in a form that the database can keep", () => {
    const { error } = outcome({
      kind: "failed",
      error: { code: "c".repeat(1_000), message: "a\0b", stack: "s".repeat(100_000) },
    });

    assert.deepEqual(
      [error?.code.length, error?.message, error?.stack?.length],
      [NAME_CHARACTERS_MAX, "a\uFFFDb", ERROR_STACK_CHARACTERS_MAX],
    );
  });

  for (const [what, lie] of [
    ["a job id that is none", { jobId: "x".repeat(1_000) }],
    ["an attempt below zero", { attempt: -1 }],
    ["a kind that is none", { kind: "k".repeat(1_000) }],
    ["no kind", { kind: "" }],
  ] as const) {
    it(`refuses ${what}, without repeating more than a little of it`, () => {
      assert.throws(
        () => outcome(lie),
        (error) =>
          error instanceof AppError &&
          error.code === "invalid_argument" &&
          error.message.length < 300,
      );
    });
  }

  it("is within bounds or refused, whatever a worker says", () => {
    const anyText = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom(...OUTCOMES, JOB_ID));
    fc.assert(
      fc.property(
        fc.record({
          jobId: fc.oneof(fc.constant(JOB_ID), anyText),
          attempt: fc.oneof(fc.constant(1), fc.integer()),
          kind: fc.oneof(fc.constantFrom(...OUTCOMES), anyText),
          result: fc.option(
            fc.uint8Array().map((bytes) => Buffer.from(bytes)),
            { nil: undefined },
          ),
          error: fc.option(fc.record({ code: anyText, message: anyText, stack: anyText }), {
            nil: undefined,
          }),
          delayMs: fc.option(fc.maxSafeInteger(), { nil: undefined }),
          durationMs: fc.maxSafeInteger(),
        }),
        (message) => {
          const taken = takenOrRefused(() => outcomeFromMessage(message, 1_000));
          if (taken === undefined) return;
          const { kind, durationMs = -1, delayMs = 0, result = "", error } = taken;
          assert.ok(OUTCOMES.includes(kind));
          assert.ok(durationMs >= 0 && durationMs < 2 ** 31);
          assert.ok(delayMs >= 0 && delayMs <= DELAY_MS_MAX);
          assert.ok(Buffer.byteLength(result) <= 1_000);
          assert.doesNotMatch(JSON.stringify(error ?? ""), /\\u0000/);
        },
      ),
    );
  });

  it("cuts an error's message between characters, as jsonb and protobuf want it", () => {
    const error = { code: "E", message: `${"x".repeat(8_190)}😀😀`, stack: "" };

    const kept = outcome({ kind: "failed", error });

    assert.equal(kept.error?.message, `${"x".repeat(8_190)}…`);
  });
});

/** What was made of it; undefined when it was refused as the worker's fault. */
function takenOrRefused<Taken>(take: () => Taken): Taken | undefined {
  try {
    return take();
  } catch (error) {
    if (error instanceof AppError && error.code === "invalid_argument") return undefined;
    throw error;
  }
}
