import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { AppError } from "../../errors.ts";
import { asciiJson, boundDetails, boundMessage, refusedBulk } from "./error-bounds.ts";

const anyText = fc.string({ unit: "binary", maxLength: 300 });

describe("asciiJson", () => {
  it("writes every value as printable ASCII that parses to the same value", () => {
    fc.assert(
      fc.property(fc.dictionary(anyText, anyText), (value) => {
        const text = asciiJson(value);

        assert.match(text, /^[ -~]*$/);
        assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});

describe("boundMessage", () => {
  it("keeps a message that fits", () => {
    assert.equal(boundMessage("Größe: 5 µm", 100), "Größe: 5 µm");
  });

  it("cuts a long message at a character and marks the cut", () => {
    // "ä" takes 6 bytes percent-encoded, the mark 9.
    assert.equal(boundMessage("ä".repeat(10), 30), "äää…");
  });

  it("replaces half surrogates, which percent-encoding refuses", () => {
    assert.equal(boundMessage("a\ud800b", 100), "a\ufffdb");
  });

  it("never takes more bytes than it may, whatever the message", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(anyText, fc.constantFrom("\ud83d", "\u0000", "😀"))),
        fc.integer({ min: 9, max: 400 }),
        (parts, bytesMax) => {
          const bounded = boundMessage(parts.join(""), bytesMax);

          assert.ok(encodeURI(bounded).length <= bytesMax);
        },
      ),
    );
  });
});

describe("boundDetails", () => {
  const item = (index: number, message = "priority is out of range") => ({
    index,
    code: "invalid_argument",
    message,
  });
  const everySecond = (count: number) =>
    Array.from({ length: count / 2 }, (_, index) => item(index * 2));
  const items = (count: number) => Array.from({ length: count }, (_, index) => item(index));

  it("keeps details that fit", () => {
    const details = { items: items(3) };

    assert.equal(boundDetails(details, 1_000), details);
  });

  it("lists the first 50 of more items, how many there are, and all their indexes", () => {
    const details = { items: [...items(60), item(99), item(101)] };

    assert.deepEqual(boundDetails(details, 10_000), {
      items: items(50),
      itemCount: 62,
      indexes: "0-59,99,101",
    });
  });

  it("lists fewer items where 50 do not fit", () => {
    const details = boundDetails({ items: items(10_000) }, 1_000);

    assert.deepEqual(details["items"], items(12));
    assert.equal(details["itemCount"], 10_000);
    assert.equal(details["indexes"], "0-9999");
  });

  it("cuts the messages of items", () => {
    const [first] = [boundDetails({ items: [item(0, "x".repeat(5_000)), item(1)] }, 1_000)["items"]]
      .flat()
      .filter((value) => typeof value === "object");

    assert.deepEqual(first, item(0, `${"x".repeat(199)}…`));
  });

  it("cuts a list of indexes that is too long", () => {
    const { items: first, indexes } = boundDetails({ items: everySecond(10_000) }, 5_000);

    assert.match(String(indexes), /^0,2,4,6,.*,…$/);
    assert.ok(String(indexes).length > 3_700, "the indexes get three quarters of the room");
    assert.deepEqual(first, everySecond(32));
  });

  it("has room for all indexes of 10,000 jobs of which every second is bad, in 32 KiB", () => {
    const details = boundDetails({ items: everySecond(10_000) }, 32 * 1024, 100);

    assert.equal(
      details["indexes"],
      everySecond(10_000)
        .map(({ index }) => index)
        .join(),
    );
    assert.equal([details["items"]].flat().length, 100);
  });

  it("leaves out details of another shape that do not fit", () => {
    assert.deepEqual(boundDetails({ text: "x".repeat(2_000) }, 1_000), {});
  });

  it("never takes more bytes than it may, however the items look", () => {
    const anyItem = fc.record({
      index: fc.nat(10_000),
      code: fc.constantFrom("malformed_json", "task_not_found"),
      message: anyText,
    });
    fc.assert(
      fc.property(
        fc.array(anyItem, { maxLength: 200 }),
        fc.integer({ min: 30, max: 6_000 }),
        (list, bytesMax) => {
          const bounded = boundDetails({ items: list }, bytesMax);

          assert.ok(asciiJson(bounded).length <= bytesMax + 2);
        },
      ),
    );
  });
});

describe("refusedBulk", () => {
  it("has every item, with messages of at most 1,000 characters", () => {
    const items = [
      { index: 3, code: "malformed_json", message: "x".repeat(2_000) },
      { index: 9_999, code: "task_not_found", message: "half \ud800" },
    ];

    assert.deepEqual(refusedBulk(new AppError("bulk_rejected", "2 of 10000", { items })), {
      message: "2 of 10000",
      jobs: [
        { index: 3, code: "malformed_json", message: `${"x".repeat(999)}…` },
        { index: 9_999, code: "task_not_found", message: "half \ufffd" },
      ],
    });
  });

  it("is none for another error", () => {
    assert.equal(refusedBulk(new AppError("resource_exhausted", "full")), undefined);
    assert.equal(refusedBulk(new TypeError("fault")), undefined);
  });
});
