import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LogEntry, Outcome } from "@baton/sdk/contract";
import { JOB_ID } from "../../../test/grpc.ts";
import { LOG_MESSAGE_BYTES_MAX } from "../../domain/limits.ts";
import { logLineFromMessage, outcomeFromMessage } from "./worker-message.ts";

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
});

describe("outcomeFromMessage", () => {
  it("cuts an error's message between characters, as jsonb and protobuf want it", () => {
    const error = { code: "E", message: `${"x".repeat(8_190)}😀😀`, stack: "" };

    const outcome = outcomeFromMessage(
      Outcome.fromPartial({ jobId: JOB_ID, attempt: 1, kind: "failed", error }),
      1_000,
    );

    assert.equal(outcome.error?.message, `${"x".repeat(8_190)}…`);
  });
});
