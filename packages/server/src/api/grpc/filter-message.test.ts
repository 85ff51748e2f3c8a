import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { JobFilter } from "@baton/sdk/contract";
import { JOB_STATES } from "../../domain/job.ts";
import { AppError } from "../../errors.ts";
import { jobFilterFromMessage, targetFromMessage } from "./filter-message.ts";

const AT = new Date("2026-11-22T10:00:00.000Z");

describe("jobFilterFromMessage", () => {
  it("translates every condition", () => {
    const filter = {
      states: [...JOB_STATES],
      queue: "q",
      task: "t",
      tag: "g",
      createdAfter: AT,
      createdBefore: AT,
    };

    assert.deepEqual(jobFilterFromMessage(JobFilter.fromPartial(filter)), filter);
  });

  it("takes empty conditions for absent ones", () => {
    const filter = jobFilterFromMessage(JobFilter.fromPartial({}));

    assert.deepEqual(JSON.parse(JSON.stringify(filter)), {});
  });

  const bad = [
    ["an unknown state", { states: ["queued", "Queued"] }, /received "Queued"/],
    ["an instant beyond dates", { createdAfter: new Date(Number.NaN) }, /filter.createdAfter/],
    ["an instant beyond dates", { createdBefore: new Date(Number.NaN) }, /filter.createdBefore/],
  ] as const;
  for (const [what, different, message] of bad) {
    it(`refuses ${what}: ${message.source}`, () => {
      assert.throws(
        () =>
          jobFilterFromMessage({
            ...JobFilter.fromPartial({}),
            ...different,
            states: [...("states" in different ? different.states : [])],
          }),
        (error) =>
          error instanceof AppError &&
          error.code === "invalid_argument" &&
          message.test(error.message),
      );
    });
  }
});

describe("targetFromMessage", () => {
  const filter = JobFilter.fromPartial({});

  it("knows a job", () => {
    assert.deepEqual(targetFromMessage({ jobId: "x", filter: undefined }), {
      kind: "job",
      jobId: "x",
    });
  });

  it("takes an empty filter for all jobs", () => {
    assert.equal(targetFromMessage({ jobId: "", filter }).kind, "filter");
  });

  for (const [what, request] of [
    ["neither", { jobId: "", filter: undefined }],
    ["both", { jobId: "x", filter }],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(() => targetFromMessage(request), new RegExp(`received ${what}`));
    });
  }
});
