import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { JobSpec } from "@baton/sdk/contract";
import fc from "fast-check";
import { AppError } from "../../errors.ts";
import { aJobView } from "../../../test/grpc.ts";
import { inputBytes } from "./job-message.ts";
import { jobSpecFromMessage, jobSpecsFromMessages } from "./job-spec-message.ts";

const BYTES_MAX = 1_000;

function aMessage(different: Partial<JobSpec> = {}): JobSpec {
  return { ...JobSpec.fromPartial({ task: "echo" }), ...different };
}

describe("jobSpecFromMessage", () => {
  it("leaves out what the message leaves out", () => {
    const spec = jobSpecFromMessage(aMessage(), BYTES_MAX);

    assert.deepEqual(JSON.parse(JSON.stringify(spec)), { task: "echo", input: "null" });
  });

  it("translates every option", () => {
    const runAt = new Date("2027-01-01T00:00:00.000Z");
    const options = {
      queue: "mail",
      priority: -5,
      delayMs: 0,
      runAt,
      maxAttempts: 1,
      attemptTimeoutMs: 0,
      queueTimeoutMs: 2,
      deadlineMs: 3,
      heartbeatTimeoutMs: 4,
      cancelGraceMs: 5,
      tags: ["a", "b"],
      idempotencyKey: "i",
      uniqueKey: "u",
      onConflict: "reject",
    };
    const retry = { strategy: "fixed", baseMs: 0, maxMs: 9, jitter: "none" };

    const spec = jobSpecFromMessage(
      aMessage({ ...options, retry, input: Buffer.from("[1]") }),
      BYTES_MAX,
    );

    assert.deepEqual(spec, {
      task: "echo",
      input: "[1]",
      inputContentType: undefined,
      ...options,
      retry,
    });
  });

  for (const contentType of [
    "",
    "application/json",
    "Application/JSON",
    "application/json; charset=utf-8",
    "application/json ;v=1",
  ]) {
    it(`takes ${JSON.stringify(contentType)} for JSON`, () => {
      const spec = jobSpecFromMessage(
        aMessage({ input: Buffer.from(" {} "), inputContentType: contentType }),
        BYTES_MAX,
      );

      assert.deepEqual([spec.input, spec.inputContentType], [" {} ", undefined]);
    });
  }

  for (const contentType of ["application/octet-stream", "text/plain", "application/jsonl"]) {
    it(`passes bytes of ${contentType} as base64`, () => {
      const spec = jobSpecFromMessage(
        aMessage({ input: Buffer.from([0, 1, 255]), inputContentType: contentType }),
        BYTES_MAX,
      );

      assert.deepEqual([spec.input, spec.inputContentType], ["AAH/", contentType]);
    });
  }

  it("gives back exactly the bytes that came, whatever they are", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
        const { input, inputContentType } = jobSpecFromMessage(
          aMessage({ input: Buffer.from(bytes), inputContentType: "x/y" }),
          BYTES_MAX,
        );

        assert.deepEqual(inputBytes(aJobView({ input, inputContentType })), Buffer.from(bytes));
      }),
    );
  });

  it("gives back exactly the JSON that came", () => {
    // Keys that change prototypes are refused, and come up now and then.
    const harmless = fc.json().filter((json) => !json.includes("__proto__"));
    fc.assert(
      fc.property(harmless, (json) => {
        const { input } = jobSpecFromMessage(aMessage({ input: Buffer.from(json) }), 100_000);

        assert.equal(inputBytes(aJobView({ input })).toString(), json);
      }),
    );
  });

  const bad = [
    ["malformed JSON", { input: Buffer.from("{") }, "malformed_json"],
    ["JSON that is not UTF-8", { input: Buffer.from([0x22, 0xff, 0x22]) }, "malformed_json"],
    ["the key __proto__", { input: Buffer.from('{"__proto__":1}') }, "malformed_json"],
    ["10,000 levels", { input: Buffer.from("[".repeat(900)) }, "malformed_json"],
    ["large JSON", { input: Buffer.alloc(BYTES_MAX + 1) }, "payload_too_large"],
    [
      "large bytes",
      { input: Buffer.alloc(BYTES_MAX + 1), inputContentType: "x/y" },
      "payload_too_large",
    ],
    ["an unknown strategy", { retry: { strategy: "x", jitter: "" } }, "invalid_argument"],
  ] as const;
  for (const [what, different, code] of bad) {
    it(`refuses ${what} as ${code}`, () => {
      assert.throws(
        () => jobSpecFromMessage(aMessage(different), BYTES_MAX),
        (error) => error instanceof AppError && error.code === code,
      );
    });
  }
});

describe("jobSpecsFromMessages", () => {
  it("sets aside exactly the jobs that can not be read, with their index, and keeps the order", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1 }), (readable) => {
        const messages = readable.map((isReadable, index) =>
          aMessage({ input: Buffer.from(isReadable ? `${index}` : "{") }),
        );

        const { specs, unread } = jobSpecsFromMessages(messages, BYTES_MAX);

        const indexes = (wanted: boolean): number[] =>
          readable.flatMap((isReadable, index) => (isReadable === wanted ? [index] : []));
        assert.deepEqual(
          specs.map(({ input }) => Number(input)),
          indexes(true),
        );
        assert.deepEqual(
          unread.map(({ index, error }) => [index, error.code]),
          indexes(false).map((index) => [index, "malformed_json"]),
        );
      }),
    );
  });
});
