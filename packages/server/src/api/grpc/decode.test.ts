import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Job, JobSpec } from "@baton/sdk/contract";
import fc from "fast-check";
import { decodeMessage } from "./decode.ts";

const decodeJobSpec = decodeMessage(JobSpec);

describe("decodeMessage", () => {
  it("reads what the codec wrote", () => {
    const spec = JobSpec.fromPartial({ task: "größe", input: Buffer.from([0, 255]), tags: ["😀"] });

    assert.deepEqual(decodeJobSpec(JobSpec.encode(spec).finish()), { kind: "ok", message: spec });
  });

  it("reads zero bytes as the empty message", () => {
    assert.deepEqual(decodeJobSpec(Buffer.alloc(0)), {
      kind: "ok",
      message: JobSpec.fromPartial({}),
    });
  });

  it("skips fields that it does not know", () => {
    // Field 1,000, varint 1; then field 1 "a".
    const bytes = Buffer.from([0xc0, 0x3e, 0x01, 0x0a, 0x01, 0x61]);

    assert.deepEqual(decodeJobSpec(bytes), {
      kind: "ok",
      message: JobSpec.fromPartial({ task: "a" }),
    });
  });

  const malformed = [
    ["a text that is not UTF-8", [0x0a, 0x01, 0xff], /not UTF-8/],
    ["a text of UTF-8 halves of a surrogate pair", [0x0a, 0x03, 0xed, 0xa0, 0x80], /not UTF-8/],
    ["a message that ends inside a field", [0x0a, 0x05, 0x61], /premature EOF/],
    ["an unknown wire type", [0x0f], /wire type 7/],
    ["an end of a group that did not begin", [0x0c, 0x0a], /ends at byte 1 of 2/],
    ["bytes that begin with zero", [0x00, 0x0a, 0x01, 0x61], /ends at byte 1 of 4/],
    ["an integer beyond 2^53", [0x30, ...Array.from({ length: 8 }, () => 0xff), 0x7f], /SAFE/],
    ["groups nested 10,000 deep", Array.from({ length: 10_000 }, () => 0x0b), /./],
  ] as const;
  for (const [what, bytes, reason] of malformed) {
    it(`names the fault of ${what}`, () => {
      const decoded = decodeJobSpec(Buffer.from(bytes));

      assert.equal(decoded.kind, "malformed");
      assert.match(decoded.kind === "malformed" ? decoded.reason : "", reason);
    });
  }

  it("never throws, whatever the bytes", () => {
    const decodeJob = decodeMessage(Job);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.match(decodeJob(bytes).kind, /^(ok|malformed)$/);
        assert.match(decodeJobSpec(bytes).kind, /^(ok|malformed)$/);
      }),
    );
  });
});
