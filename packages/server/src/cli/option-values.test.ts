import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import {
  parseChoices,
  parseDuration,
  parseInstant,
  parseInstantOrAge,
  parseInteger,
  parseList,
  parsePair,
} from "./option-values.ts";

describe("parseDuration", () => {
  const durations = {
    "0": 0,
    "1500": 1_500,
    "1.5s": 1_500,
    "250ms": 250,
    "2m": 120_000,
    "3h": 10_800_000,
    "1d": 86_400_000,
  };
  for (const [text, ms] of Object.entries(durations)) {
    it(`reads ${text}`, () => {
      assert.equal(parseDuration(text), ms);
    });
  }

  const bad: readonly (readonly [string, RegExp])[] = [
    ["-5", /received "-5", which is negative/],
    ["*/5 * * * *", /received "\*\/5 \* \* \* \*", which looks like a cron expression/],
    ["@hourly", /which looks like a cron expression/],
    ["1.5", /received "1\.5"/],
    ["5 minutes", /received "5 minutes"/],
    ["", /received ""/],
    ["99999999999999999d", /received "99999999999999999d"/],
  ];
  for (const [text, message] of bad) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseDuration(text), message);
    });
  }

  it("reads every whole number of milliseconds as itself", () => {
    fc.assert(fc.property(fc.maxSafeNat(), (ms) => parseDuration(String(ms)) === ms));
  });
});

describe("parseInstant", () => {
  it("reads what an instant says of itself", () => {
    const anyInstant = fc.date({
      min: new Date(0),
      max: new Date("2200-01-01"),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(anyInstant, (instant) => {
        assert.deepEqual(parseInstant(instant.toISOString()), instant);
      }),
    );
  });

  it("reads an offset", () => {
    assert.deepEqual(parseInstant("2026-11-22T15:00:00+01:00"), new Date("2026-11-22T14:00:00Z"));
  });

  const bad: readonly (readonly [string, RegExp])[] = [
    ["0 9 * * 1-5", /which looks like a cron expression/],
    ["2026-11-22", /which has no time and no offset/],
    ["2026-11-22T14:00:00", /which has no offset/],
    ["2026-02-30T14:00:00Z", /which is not in the calendar/],
    ["2026-11-22T24:00:00Z", /which is not in the calendar/],
    ["2026-13-01T00:00:00Z", /which is not in the calendar/],
    ["tomorrow", /received "tomorrow"/],
  ];
  for (const [text, message] of bad) {
    it(`refuses ${text}`, () => {
      assert.throws(() => parseInstant(text), message);
    });
  }
});

describe("parseInstantOrAge", () => {
  it("takes an age as that long ago", () => {
    const before = Date.now();

    const instant = parseInstantOrAge("15m").getTime();

    assert.ok(instant >= before - 900_000 && instant <= Date.now() - 900_000);
  });

  it("does not take a bare number for an age", () => {
    assert.throws(() => parseInstantOrAge("15"), /Expected a date and time/);
  });
});

describe("parseInteger", () => {
  const parse = parseInteger(-100, 100);

  it("reads both bounds", () => {
    assert.deepEqual([parse("-100"), parse("+100")], [-100, 100]);
  });

  for (const text of ["101", "-101", "1.0", "1e1", "0x10", "", "ten", "9007199254740993"]) {
    it(`refuses ${JSON.stringify(text)} and says what it expects`, () => {
      assert.throws(() => parse(text), /Expected a whole number from -100 to 100; received "/);
    });
  }
});

describe("parseList", () => {
  it("joins what several options and commas say", () => {
    assert.deepEqual(parseList("b, c", parseList("a", undefined)), ["a", "b", "c"]);
  });

  it("refuses an empty value", () => {
    assert.throws(() => parseList("a,,b", undefined), /received "a,,b"/);
  });
});

describe("parseChoices", () => {
  it("names the value that is none of the choices", () => {
    assert.throws(
      () => parseChoices(["queued", "dead"])("queued,done", undefined),
      /Expected one or more of queued, dead; received "done"/,
    );
  });
});

describe("parsePair", () => {
  it("cuts at the first equals sign", () => {
    assert.deepEqual(parsePair("zone=a=b", { gpu: "" }), { gpu: "", zone: "a=b" });
  });

  for (const text of ["zone", "=a"]) {
    it(`refuses ${text}`, () => {
      assert.throws(() => parsePair(text, undefined), /Expected key=value/);
    });
  }
});
