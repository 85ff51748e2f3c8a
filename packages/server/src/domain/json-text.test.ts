import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { findJsonFault } from "./json-fault.ts";
import { checkJsonText, type JsonTextLimits, parseJsonText } from "./json-text.ts";

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function messageOf(bytes: Uint8Array, limits?: JsonTextLimits): string {
  const result = parseJsonText(bytes, limits);
  assert.equal(result.kind, "invalid");
  return `${result.code}: ${result.message}`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const CHARACTERS = Array.from('{}[],:"\\ u0123456789-+.eEtrufalsn\n\t\u0001é😀');

/** JSON text of any value but the few with keys that are refused: they come up once in some thousand. */
function harmlessJson(constraints: fc.JsonSharedConstraints = {}): fc.Arbitrary<string> {
  return fc.json(constraints).filter((text) => !text.includes("__proto__"));
}

/** JSON text of any value, with random spaces, cut, doubled or with one character replaced. */
const brokenJson = fc
  .tuple(harmlessJson(), fc.nat(), fc.constantFrom(...CHARACTERS))
  .map(([text, at, character]) => {
    const index = at % (text.length + 1);
    return [
      text.slice(0, index) + character + text.slice(index + 1),
      text.slice(0, index) + character + text.slice(index),
      text.slice(0, index),
      text + character,
    ];
  });

describe("parseJsonText", () => {
  it("returns the text and the value of every JSON text", () => {
    fc.assert(
      fc.property(harmlessJson(), (text) => {
        const result = parseJsonText(bytesOf(text));
        assert.deepEqual(result, { kind: "ok", text, value: JSON.parse(text) });
      }),
    );
  });

  it("agrees with JSON.parse about what is JSON", () => {
    fc.assert(
      fc.property(brokenJson, (texts) => {
        for (const text of texts) {
          assert.equal(parseJsonText(bytesOf(text)).kind, isJson(text) ? "ok" : "invalid", text);
        }
      }),
    );
  });

  it("never throws and never accepts bytes that are not UTF-8", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const result = parseJsonText(bytes);
        const decoded = Buffer.from(bytes).toString("utf8");
        const isUtf8 = Buffer.from(decoded).equals(Buffer.from(bytes));
        assert.ok(isUtf8 || result.kind === "invalid");
      }),
    );
  });

  it("leaves out a byte order mark", () => {
    assert.deepEqual(parseJsonText(bytesOf("\uFEFF[1]")), { kind: "ok", text: "[1]", value: [1] });
  });

  it("names the limit and the size of a text that is too large", () => {
    assert.equal(
      messageOf(bytesOf('"12345678"'), { bytesMax: 9 }),
      "payload_too_large: expected at most 9 bytes, received 10 bytes",
    );
  });

  it("accepts a text of exactly the limit", () => {
    assert.equal(parseJsonText(bytesOf('"1234567"'), { bytesMax: 9 }).kind, "ok");
  });

  it("names the first byte that is not UTF-8", () => {
    const bytes = bytesOf(`"${"é".repeat(5_000)}?"`);
    bytes[10_001] = 0xff;
    assert.equal(
      messageOf(bytes),
      "malformed_json: expected UTF-8, received byte 0xff at position 10001",
    );
  });

  it("names the first bad byte wherever it stands", () => {
    fc.assert(
      fc.property(fc.nat(9_000), (index) => {
        const bytes = bytesOf("é😀".repeat(1_501));
        bytes[index] = 0xff;
        assert.match(messageOf(bytes), new RegExp(`byte 0x[0-9a-f]{2} at position ${index}$`));
      }),
    );
  });

  it("says when a character is cut at the end", () => {
    assert.equal(
      messageOf(bytesOf("é").subarray(0, 1)),
      "malformed_json: expected UTF-8, received a text that ends inside a character",
    );
  });

  for (const [name, text] of [
    ["arrays", `${"[".repeat(200)}1${"]".repeat(200)}`],
    ["objects", `${'{"a":'.repeat(200)}1${"}".repeat(200)}`],
  ] as const) {
    it(`accepts 200 levels of ${name} and refuses 201`, () => {
      assert.equal(parseJsonText(bytesOf(text)).kind, "ok");
      assert.match(
        messageOf(bytesOf(`[${text}]`)),
        /^malformed_json: expected at most 200 levels of nesting/,
      );
    });
  }

  it("refuses 10,000 and 500,000 levels without a crash", () => {
    for (const levels of [10_000, 500_000]) {
      const text = "[".repeat(levels) + "]".repeat(levels);
      assert.match(
        messageOf(bytesOf(text)),
        /200 levels of nesting, received more at line 1, column 201 \(character 200\)$/,
      );
    }
  });

  it("does not count the levels around, and names the line of the one too many", () => {
    const limits = { depthMax: 2, depthAround: 1 };

    assert.equal(parseJsonText(bytesOf('{"a":[[]]}'), limits).kind, "ok");
    assert.equal(
      messageOf(bytesOf('{"a":[\n[[]]]}'), limits),
      "malformed_json: expected at most 2 levels of nesting below the outermost, received more " +
        "at line 2, column 2 (character 8)",
    );
    assert.match(
      messageOf(bytesOf("[[[[[[1]]]]]]"), { depthMax: 2, depthAround: 3 }),
      /2 levels of nesting below the outermost 3, received more at line 1, column 6/,
    );
  });

  it("does not count brackets inside strings", () => {
    const text = JSON.stringify({ a: '\\"['.repeat(1_000), b: "{".repeat(1_000) });
    assert.equal(parseJsonText(bytesOf(text)).kind, "ok");
  });

  it("finds the depth that a walk over the value finds", () => {
    fc.assert(
      fc.property(
        harmlessJson({ maxDepth: 6 }),
        fc.integer({ min: 1, max: 6 }),
        (text, depthMax) => {
          const isWithin = depthOf(JSON.parse(text)) <= depthMax;
          assert.equal(
            parseJsonText(bytesOf(text), { depthMax }).kind,
            isWithin ? "ok" : "invalid",
          );
        },
      ),
    );
  });

  for (const [text, key, column] of [
    ['{"__proto__": {"a": 1}}', "__proto__", 2],
    ['[{"a": {"__proto__": 1}}]', "__proto__", 9],
    ['["__proto__", {"__proto__": 1}]', "__proto__", 16],
    ['{"\\u005f_proto__": 1}', "__proto__", 2],
    ['{"constructor": {"prototype": {}}}', "constructor.prototype", 2],
    ['{"constructor": {"\\u0070rototype": {}}}', "constructor.prototype", 2],
    ['{"\\u0063onstructor": {"prototype": {}}}', "constructor.prototype", 2],
  ] as const) {
    it(`names the forbidden key of ${text} and its place`, () => {
      assert.equal(
        messageOf(bytesOf(text)),
        `malformed_json: expected no key that changes prototypes, received the key "${key}" ` +
          `at line 1, column ${column} (character ${column - 1})`,
      );
    });
  }

  for (const text of [
    '"__proto__"',
    '{"a": "__proto__"}',
    '{"__proto": 1, "prototype": 2}',
    '{"constructor": "prototype"}',
    '{"constructor": {"name": "x"}}',
    '{"name": "\\u00e9"}',
  ]) {
    it(`accepts ${text}`, () => {
      assert.equal(parseJsonText(bytesOf(text)).kind, "ok");
    });
  }

  for (const [text, message] of [
    ["", "expected a value at line 1, column 1 (character 0), received the end of the text"],
    [
      '{"a": 1,}',
      'expected a property name in double quotes at line 1, column 9 (character 8), received "}"',
    ],
    [
      "{a: 1}",
      'expected a property name in double quotes or "}" at line 1, column 2 (character 1), received "a"',
    ],
    ['{\n  "a" 1\n}', 'expected ":" at line 2, column 7 (character 8), received "1"'],
    ["[1 2]", 'expected "," or "]" at line 1, column 4 (character 3), received "2"'],
    ["[1,2", 'expected "," or "]" at line 1, column 5 (character 4), received the end of the text'],
    ["nul", 'expected a value at line 1, column 1 (character 0), received "n"'],
    ["1 x", 'expected the end of the text at line 1, column 3 (character 2), received "x"'],
    [
      '"a\nb"',
      'expected an escape such as \\n instead of a control character at line 1, column 3 (character 2), received "\\n"',
    ],
    [
      '"\\x"',
      'expected a JSON escape such as \\n or \\u0041 at line 1, column 2 (character 1), received "\\\\"',
    ],
    ["'a'", 'expected a value at line 1, column 1 (character 0), received "\'"'],
  ] as const) {
    it(`says what is wrong with ${JSON.stringify(text)}`, () => {
      assert.equal(messageOf(bytesOf(text)), `malformed_json: ${message}`);
    });
  }

  it("gives one result for bytes in the middle of a larger buffer", () => {
    const bytes = bytesOf("xx[1]xx").subarray(2, 5);
    assert.deepEqual(parseJsonText(bytes), { kind: "ok", text: "[1]", value: [1] });
  });
});

describe("checkJsonText", () => {
  it("counts UTF-8 bytes, not characters", () => {
    assert.equal(checkJsonText('"éé"', { bytesMax: 6 }).kind, "ok");
    assert.deepEqual(checkJsonText('"éé"', { bytesMax: 5 }), {
      kind: "invalid",
      code: "payload_too_large",
      message: "expected at most 5 bytes, received 6 bytes",
    });
  });

  it("agrees with parseJsonText", () => {
    fc.assert(
      fc.property(brokenJson, (texts) => {
        for (const text of texts)
          assert.deepEqual(checkJsonText(text), parseJsonText(bytesOf(text)));
      }),
    );
  });
});

describe("findJsonFault", () => {
  it("finds a fault exactly when JSON.parse throws", () => {
    fc.assert(
      fc.property(brokenJson, (texts) => {
        for (const text of texts)
          assert.equal(findJsonFault(text) === undefined, isJson(text), text);
      }),
      { numRuns: 1_000 },
    );
  });

  it("survives a string of a million characters and a million open brackets", () => {
    assert.equal(findJsonFault(`"${"\\n".repeat(1_000_000)}"`), undefined);
    assert.equal(findJsonFault("[".repeat(1_000_000))?.position, 1_000_000);
  });
});

function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}
