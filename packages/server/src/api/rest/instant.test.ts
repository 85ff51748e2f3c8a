import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseInstant } from "./instant.ts";

describe("parseInstant", () => {
  for (const [text, expected] of [
    ["2026-11-22T14:00:00Z", "2026-11-22T14:00:00.000Z"],
    ["2026-11-22t14:00:00z", "2026-11-22T14:00:00.000Z"],
    ["2026-11-22T14:00:00.123456789Z", "2026-11-22T14:00:00.123Z"],
    ["2026-11-22T15:00:00+01:00", "2026-11-22T14:00:00.000Z"],
    ["2026-11-22T08:30:00-05:30", "2026-11-22T14:00:00.000Z"],
    ["2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"],
  ] as const) {
    it(`reads ${text}`, () => {
      assert.equal(parseInstant("runAt", text).toISOString(), expected);
    });
  }

  it("reads what toISOString writes", () => {
    const date = fc.date({
      min: new Date("1970-01-01T00:00:00Z"),
      max: new Date("2199-12-31T23:59:59.999Z"),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(date, (instant) => {
        assert.equal(parseInstant("runAt", instant.toISOString()).getTime(), instant.getTime());
      }),
    );
  });

  for (const [text, hint] of [
    ["*/5 * * * *", ", which looks like a cron expression; a job runs once"],
    ["0 0/1 * 1/1 * ? *", ", which looks like a cron expression; a job runs once"],
    ["@daily", ", which looks like a cron expression; a job runs once"],
    ["2026-11-22", ", which has no time and no offset"],
    ["2026-11-22T14:00:00", ", which has no offset"],
    ["2026-11-22 14:00", ", which has no offset"],
    ["2026-02-30T14:00:00Z", ", which is not in the calendar"],
    ["2026-02-29T14:00:00Z", ", which is not in the calendar"],
    ["2026-11-22T24:00:00Z", ", which is not in the calendar"],
    ["2026-11-22T14:00:00+24:00", ", which is not in the calendar"],
    ["tomorrow", ""],
    ["1795312446", ""],
    ["", ""],
  ] as const) {
    it(`refuses ${JSON.stringify(text)} and says what is expected`, () => {
      assert.throws(() => parseInstant("runAt", text), {
        code: "invalid_argument",
        message:
          "runAt must be an RFC 3339 date and time with an offset such as 2026-11-22T14:00:00Z or " +
          `2026-11-22T15:00:00+01:00; received ${JSON.stringify(text)}${hint}`,
      });
    });
  }

  it("shows only the beginning of a long text", () => {
    assert.throws(() => parseInstant("runAt", "x".repeat(1_000_000)), /received "x{79}…"$/);
  });

  it("takes or refuses every text without another error", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const isRefused = ((): boolean => {
          try {
            return Number.isNaN(parseInstant("runAt", text).getTime());
          } catch (error) {
            return error instanceof Error && error.message.startsWith("runAt must be");
          }
        })();
        assert.ok(isRefused || /^\d{4}-/.test(text));
      }),
    );
  });
});
