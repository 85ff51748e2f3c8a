import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { findJsonFault } from "../domain/json-fault.ts";
import { jsonFault, parseJsonText } from "./json-text.ts";

describe("parseJsonText", () => {
  const places: readonly (readonly [string, number, number, string])[] = [
    ["", 1, 1, "end of the text"],
    ["{hello}", 1, 2, '"h"'],
    ["{'a':1}", 1, 2, '"\'"'],
    ['{"a":1,}', 1, 8, '"}"'],
    ['{"a":1\n "b":2}', 2, 2, '"\\""'],
    ["[1,\n 2,\n x]", 3, 2, '"x"'],
    ["[1] 2", 1, 5, '"2"'],
    ['"\u0001"', 1, 2, '"\\u0001"'],
    ["undefined", 1, 1, '"u"'],
    ["NaN", 1, 1, '"N"'],
    ["[tru]", 1, 5, '"]"'],
    ['"a\\q"', 1, 4, '"q"'],
  ];
  for (const [text, line, column, received] of places) {
    it(`names line ${line}, column ${column} of ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseJsonText(text, "the input"), {
        code: "malformed_json",
        message: new RegExp(`^the input is not JSON: unexpected ${RegExp.escape(received)} at `),
        details: { position: jsonFault(text).position, line, column },
      });
    });
  }

  it("keeps numbers that a double cannot hold as they are written", () => {
    const text = '{"id":12345678901234567890,"amount":1e400,"small":1.10,"ok":3}';

    const value = parseJsonText(text, "the input");

    assert.equal(
      JSON.stringify(value),
      '{"id":12345678901234567890,"amount":1e400,"small":1.10,"ok":3}',
    );
  });

  it("keeps a key named __proto__ as a key", () => {
    const value = parseJsonText('{"__proto__":{"x":1}}', "the input");

    assert.equal(JSON.stringify(value), '{"__proto__":{"x":1}}');
  });

  it("finds the token that the server finds, in any text with one mistake", () => {
    const mistake = fc
      .tuple(fc.json(), fc.nat(), fc.string({ maxLength: 3 }))
      .map(([text, at, put]) => {
        const index = at % (text.length + 1);
        return text.slice(0, index) + put + text.slice(index + 1);
      })
      .filter((text) => findJsonFault(text) !== undefined);

    fc.assert(
      fc.property(mistake, (text) => {
        const { position } = jsonFault(text);
        const server = findJsonFault(text)?.position ?? Number.NaN;
        // The server names the beginning of a bad word, number or escape; this is the character that made it bad.
        assert.ok(position >= server);
        assert.match(text.slice(server, position), /^[\w.+\\-]*$/);
      }),
      { numRuns: 2_000 },
    );
  });
});
