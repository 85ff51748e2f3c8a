import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { printable, printableLines } from "./terminal.ts";

// What no terminal may get from somebody else: control characters, and marks that turn text around.
const DANGEROUS = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

describe("printable", () => {
  it("leaves nothing that steers a terminal", () => {
    const anyText = fc.string({
      unit: fc.oneof(fc.string({ unit: "binary", maxLength: 1 }), fc.constant("\u001b")),
    });
    fc.assert(fc.property(anyText, (text) => !DANGEROUS.test(printable(text))));
  });

  it("shows what was there", () => {
    assert.equal(printable("a\u001b[31mb\n\tc\u202ed"), "a\\x1b[31mb\\n\\tc\\u202ed");
  });
});

describe("printableLines", () => {
  it("keeps the ends of lines and tabs", () => {
    assert.equal(printableLines("a\r\n\tb\u0007\rc"), "a\n\tb\\x07\\x0dc");
  });
});
