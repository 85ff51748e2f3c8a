import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { RETRY_AFTER_MS_MAX, retryAfterMs } from "./retry-after.ts";

const NOW_MS = Date.parse("2026-11-22T10:00:00Z");

describe("retryAfterMs", () => {
  const cases: readonly (readonly [string | undefined, number | undefined])[] = [
    [undefined, undefined],
    ["", undefined],
    ["soon", undefined],
    ["-5", undefined],
    ["1.5", undefined],
    ["0", 0],
    ["120", 120_000],
    [" 7 ", 7_000],
    ["99999999999999999999", RETRY_AFTER_MS_MAX],
    ["Sun, 22 Nov 2026 10:00:30 GMT", 30_000],
    ["Sunday, 22-Nov-26 10:00:30 GMT", 30_000],
    ["Sun, 22 Nov 2026 09:00:00 GMT", 0],
    ["Sun, 22 Nov 2099 09:00:00 GMT", RETRY_AFTER_MS_MAX],
    ["Sun, 99 Nov 2026 10:00:30 GMT", undefined],
  ];
  for (const [header, expectedMs] of cases) {
    it(`reads ${JSON.stringify(header)} as ${expectedMs} ms`, () => {
      assert.equal(retryAfterMs(header, NOW_MS), expectedMs);
    });
  }
});
