import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { aJobView } from "../../../test/grpc.ts";
import { AppError } from "../../errors.ts";
import type { Operations } from "../operations.ts";
import { jobsAtOffset, jobTotal } from "./master-pages.ts";

/** A list of so many jobs whose ids are their positions; it keeps what it was asked for. */
function aList(count: number, input = "null") {
  const asked: { readonly limit: number; readonly withPayloads: boolean }[] = [];
  const jobList: Operations["jobList"] = async ({ limit = 50, cursor = "0", includePayloads }) => {
    asked.push({ limit, withPayloads: includePayloads === true });
    const start = Number(cursor);
    const end = Math.min(count, start + limit);
    const items = Array.from({ length: end - start }, (_, index) =>
      aJobView({ id: String(start + index), input }),
    );
    return { items, nextCursor: end < count ? String(end) : undefined };
  };
  return { asked, jobList };
}

describe("jobsAtOffset", () => {
  it("gives the same as slicing the whole list", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(3_500),
        fc.nat(3_500),
        fc.nat(3_500),
        async (count, offset, limit) => {
          const list = aList(count);

          const page = await jobsAtOffset(list, undefined, { limit, offset }, 100);

          const wanted = limit === 0 ? 100 : limit;
          const ids = Array.from({ length: count }, (_, index) => String(index));
          assert.deepEqual(
            page.jobs.map(({ id }) => id),
            ids.slice(offset, offset + wanted),
          );
          assert.equal(page.seenCount, Math.min(count, offset + wanted + 1));
          assert.ok(list.asked.every((request) => request.limit >= 1 && request.limit <= 1_000));
        },
      ),
      { numRuns: 100 },
    );
  });

  it("reads what it skips without payloads", async () => {
    const list = aList(5_000);

    await jobsAtOffset(list, undefined, { limit: 10, offset: 2_500 }, 100);

    assert.deepEqual(list.asked, [
      { limit: 1_000, withPayloads: false },
      { limit: 1_000, withPayloads: false },
      { limit: 500, withPayloads: false },
      { limit: 10, withPayloads: true },
    ]);
  });

  const bad = [
    [{ limit: 1, offset: 100_001 }, /offset must be a whole number from 0 to 100000; .*100001/],
    [{ limit: 1, offset: -1 }, /offset/],
    [{ limit: 10_001, offset: 0 }, /limit must be a whole number from 0 to 10000; .*10001/],
    [{ limit: -1, offset: 0 }, /limit/],
  ] as const;
  for (const [range, message] of bad) {
    it(`refuses ${JSON.stringify(range)}`, async () => {
      await assert.rejects(
        jobsAtOffset(aList(10), undefined, range, 100),
        (error) =>
          error instanceof AppError &&
          error.code === "invalid_argument" &&
          message.test(error.message),
      );
    });
  }

  it("refuses payloads that do not fit into one message", async () => {
    const list = aList(10_000, "x".repeat(40_000));

    await assert.rejects(
      jobsAtOffset(list, undefined, { limit: 10_000, offset: 0 }, 100),
      (error) => error instanceof AppError && error.code === "resource_exhausted",
    );
    assert.equal(list.asked.length, 2);
  });
});

describe("jobTotal", () => {
  const operations = { jobCounts: async () => ({ pending: 5, running: 3, dead: 2 }) };
  for (const [status, seenCount, expected] of [
    ["pending", 1, 5],
    ["running", 1, 3],
    ["failed", 1, 2],
    ["", 1, 10],
    ["completed", 7, 7],
    ["pending", 20_000, 20_000],
  ] as const) {
    it(`says ${expected} of ${JSON.stringify(status)} after ${seenCount} were seen`, async () => {
      assert.equal(await jobTotal(operations, status, seenCount), expected);
    });
  }
});
