import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { aJob, JOB_ID } from "../../../test/fake-operations.ts";
import { anHttpApp, problemLine, send } from "../../../test/http-app.ts";
import type { JobSpec } from "../../domain/job-spec.ts";
import { AppError } from "../../errors.ts";

describe("POST /api/jobs", () => {
  it("submits a one-time job", async () => {
    const specs: JobSpec[] = [];
    const app = anHttpApp({
      submit: async (given) => {
        specs.push(...given);
        return [{ jobId: JOB_ID, state: "queued", isDuplicate: false }];
      },
    });

    const response = await send(app, "POST", "/api/jobs", {
      name: "report",
      type: "one-time",
      schedule: "2026-11-22T15:00:00+01:00",
      priority: 1,
      payload: { month: 11 },
    });

    assert.equal(response.statusCode, 201);
    assert.deepEqual(response.json(), { job_id: JOB_ID, status: "Pending" });
    assert.equal(response.headers["location"], `/api/job-status/${JOB_ID}`);
    assert.deepEqual(specs, [
      {
        task: "report",
        input: '{"month":11}',
        priority: 1,
        runAt: new Date("2026-11-22T14:00:00Z"),
      },
    ]);
  });

  it("says that cron jobs are not supported", async () => {
    const response = await send(anHttpApp(), "POST", "/api/jobs", {
      name: "report",
      type: "cron",
      schedule: "0 * * * *",
      priority: 1,
    });

    assert.equal(
      problemLine(response),
      "400 invalid_argument: cron jobs are not supported by this server version; " +
        "expected type one-time",
    );
  });

  it("refuses another type", async () => {
    const body = { name: "report", type: "dag" };

    const response = await send(anHttpApp(), "POST", "/api/jobs", body);

    assert.equal(
      problemLine(response),
      '400 invalid_argument: type must be one-time; received "dag"',
    );
  });
});

describe("GET /api/job-status/{id}", () => {
  for (const [state, status] of [
    ["waiting", "Pending"],
    ["scheduled", "Pending"],
    ["queued", "Pending"],
    ["running", "In-Progress"],
    ["succeeded", "Completed"],
    ["dead", "Failed"],
    ["cancelled", "Failed"],
  ] as const) {
    it(`shows ${state} as ${status}`, async () => {
      const app = anHttpApp({ jobGet: async () => aJob({ state }) });

      const response = await app.inject(`/api/job-status/${JOB_ID}`);

      assert.deepEqual(response.json(), { job_id: JOB_ID, name: "echo", status, error: null });
    });
  }

  it("shows the result as it is and the error as text", async () => {
    const error = { code: "Error", message: "late" };
    const app = anHttpApp({
      jobGet: async () => aJob({ state: "succeeded", result: "12345678901234567890", error }),
    });

    const response = await app.inject(`/api/job-status/${JOB_ID}`);

    assert.match(response.body, /"error":"late","result":12345678901234567890\}$/);
  });

  it("answers 404 for an unknown job", async () => {
    const app = anHttpApp({
      jobGet: async () => {
        throw new AppError("job_not_found", "there is no such job");
      },
    });

    const response = await app.inject(`/api/job-status/${JOB_ID}`);

    assert.equal(problemLine(response), "404 job_not_found: there is no such job");
  });
});
