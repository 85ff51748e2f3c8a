import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import fc from "fast-check";

import { AttemptRef } from "./gen/baton/v1/worker.ts";
import { TextReader } from "./text-reader.ts";

const refuse = (): string => {
  throw new Error("no UTF-8");
};
/** A message whose only field is a text of these bytes. */
const ofText = (bytes: Uint8Array): Buffer => Buffer.concat([Buffer.of(0x0a, bytes.length), bytes]);

describe("TextReader", () => {
  it("reads whatever bytes as the library's own reader does", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const message = ofText(bytes);
        assert.deepEqual(
          AttemptRef.decode(new TextReader(message)),
          AttemptRef.decode(new BinaryReader(message)),
        );
      }),
    );
  });

  it("reads a text in the middle of a larger buffer", () => {
    const whole = Buffer.concat([Buffer.from("before"), ofText(Buffer.from("größe 😀"))]);

    const message = new Uint8Array(whole.buffer, whole.byteOffset + 6, whole.length - 6);

    assert.equal(AttemptRef.decode(new TextReader(message)).jobId, "größe 😀");
  });

  it("asks who was to decide about bytes that are no UTF-8", () => {
    const message = ofText(Buffer.of(0x61, 0xff));

    assert.throws(() => AttemptRef.decode(new TextReader(message, refuse)), /no UTF-8/);
  });

  it("asks the same about a replacement character that somebody wrote", () => {
    const asked: Uint8Array[] = [];
    const decode = (bytes: Uint8Array): string => {
      asked.push(bytes);
      return "yes";
    };

    const ref = AttemptRef.decode(new TextReader(ofText(Buffer.from("a\uFFFD")), decode));

    assert.deepEqual([ref.jobId, asked], ["yes", [Buffer.from("a\uFFFD")]]);
  });

  it("refuses a text that is longer than its message", () => {
    const message = Buffer.of(0x0a, 0x05, 0x61);

    assert.throws(() => AttemptRef.decode(new TextReader(message)), /premature EOF/);
  });
});
