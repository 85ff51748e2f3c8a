import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { JOB_ID } from "../../../test/fake-operations.ts";
import { anHttpApp, problemLine, send } from "../../../test/http-app.ts";
import { AppError } from "../../errors.ts";

const JOB = `/api/v1/jobs/${JOB_ID}`;

describe("POST /api/v1/jobs/{id}/cancel", () => {
  for (const [state, status] of [
    ["cancelled", 200],
    ["running", 202],
  ] as const) {
    it(`answers ${status} when the job is ${state} after it`, async () => {
      const asked: unknown[] = [];
      const app = anHttpApp({
        cancel: async (jobId, reason) => {
          asked.push([jobId, reason]);
          return { state };
        },
      });

      const response = await send(app, "POST", `${JOB}/cancel`, { reason: "wrong file" });

      assert.equal(response.statusCode, status);
      assert.deepEqual(response.json(), { state });
      assert.deepEqual(asked, [[JOB_ID, "wrong file"]]);
    });
  }

  it("needs no body and no content type", async () => {
    const asked: unknown[] = [];
    const app = anHttpApp({
      cancel: async (_jobId, reason) => {
        asked.push(reason);
        return { state: "cancelled" };
      },
    });

    const without = await app.inject({ method: "POST", url: `${JOB}/cancel` });
    const empty = await send(app, "POST", `${JOB}/cancel`, "");

    assert.deepEqual([without.statusCode, empty.statusCode], [200, 200]);
    assert.deepEqual(asked, [undefined, undefined]);
  });

  it("shows that a finished job cannot be cancelled", async () => {
    const app = anHttpApp({
      cancel: async () => {
        throw new AppError("job_finished", "the job has succeeded");
      },
    });

    const response = await send(app, "POST", `${JOB}/cancel`, {});

    assert.equal(problemLine(response), "409 job_finished: the job has succeeded");
  });
});

describe("POST /api/v1/jobs/cancel", () => {
  it("passes on filter, limit and reason and answers counts", async () => {
    const asked: unknown[] = [];
    const app = anHttpApp({
      cancelMany: async (...values) => {
        asked.push(values);
        return { cancelledCount: 3, requestedCount: 2, hasMore: true };
      },
    });

    const response = await send(app, "POST", "/api/v1/jobs/cancel", {
      filter: { states: ["queued"], tag: "t", createdBefore: "2026-11-22T10:00:00Z" },
      limit: 5,
      reason: "r",
    });

    assert.deepEqual(response.json(), { cancelledCount: 3, requestedCount: 2, hasMore: true });
    assert.deepEqual(JSON.parse(JSON.stringify(asked)), [
      [{ states: ["queued"], tag: "t", createdBefore: "2026-11-22T10:00:00.000Z" }, 5, "r"],
    ]);
  });

  it("wants a filter, so that nobody cancels everything by accident", async () => {
    const response = await send(anHttpApp(), "POST", "/api/v1/jobs/cancel", {});

    assert.equal(
      problemLine(response),
      "400 invalid_argument: filter is required; received an object without it",
    );
  });

  it("names an unknown condition", async () => {
    const body = { filter: { state: "dead" } };

    const response = await send(anHttpApp(), "POST", "/api/v1/jobs/cancel", body);

    assert.equal(
      problemLine(response),
      "400 invalid_argument: unknown property filter.state; known are states, queue, task, tag, " +
        "createdAfter, createdBefore",
    );
  });
});

describe("POST /api/v1/jobs/{id}/redrive", () => {
  it("answers 204", async () => {
    const asked: string[] = [];
    const app = anHttpApp({
      redrive: async (jobId) => {
        asked.push(jobId);
      },
    });

    const response = await app.inject({ method: "POST", url: `${JOB}/redrive` });

    assert.equal(response.statusCode, 204);
    assert.equal(response.body, "");
    assert.deepEqual(asked, [JOB_ID]);
  });
});

describe("POST /api/v1/jobs/redrive", () => {
  it("passes on filter and limit and answers counts", async () => {
    const asked: unknown[] = [];
    const app = anHttpApp({
      redriveMany: async (...values) => {
        asked.push(values);
        return { redrivenCount: 4, hasMore: false };
      },
    });

    const response = await send(app, "POST", "/api/v1/jobs/redrive", {
      filter: { queue: "q" },
      limit: null,
    });

    assert.deepEqual(response.json(), { redrivenCount: 4, hasMore: false });
    assert.deepEqual(JSON.parse(JSON.stringify(asked)), [[{ queue: "q" }, null]]);
  });
});
