import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { aJob, JOB_ID } from "../../../test/fake-operations.ts";
import { anHttpApp, problemLine, send } from "../../../test/http-app.ts";
import type { JobSpec } from "../../domain/job-spec.ts";
import { AppError } from "../../errors.ts";

describe("POST /job", () => {
  for (const [body, input] of [
    [{ task: "echo", args: ["hello"] }, '["hello"]'],
    [{ task: "echo" }, "[]"],
  ] as const) {
    it(`submits ${JSON.stringify(body)} with the input ${input}`, async () => {
      const specs: JobSpec[] = [];
      const app = anHttpApp({
        submit: async (given) => {
          specs.push(...given);
          return [{ jobId: JOB_ID, state: "queued", isDuplicate: false }];
        },
      });

      const response = await send(app, "POST", "/job", body);

      assert.equal(response.statusCode, 201);
      assert.deepEqual(response.json(), { job_id: JOB_ID });
      assert.deepEqual(specs, [{ task: "echo", input }]);
    });
  }

  it("refuses arguments that are not a list", async () => {
    const response = await send(anHttpApp(), "POST", "/job", { task: "echo", args: "hello" });

    assert.equal(
      problemLine(response),
      '400 invalid_argument: args must be an array; received "hello"',
    );
  });
});

describe("GET /job/{id}", () => {
  for (const [state, status] of [
    ["waiting", "queued"],
    ["scheduled", "queued"],
    ["queued", "queued"],
    ["running", "in_progress"],
    ["succeeded", "completed"],
    ["dead", "failed"],
    ["cancelled", "failed"],
  ] as const) {
    it(`shows ${state} as ${status}`, async () => {
      const app = anHttpApp({ jobGet: async () => aJob({ state }) });

      const response = await app.inject(`/job/${JOB_ID}`);

      assert.equal(response.statusCode, 200);
      assert.deepEqual(response.json(), { job_id: JOB_ID, status, result: null });
    });
  }

  it("shows the result of a completed job", async () => {
    const app = anHttpApp({
      jobGet: async () => aJob({ state: "succeeded", result: '["hello"]' }),
    });

    const response = await app.inject(`/job/${JOB_ID}`);

    assert.deepEqual(response.json(), {
      job_id: JOB_ID,
      status: "completed",
      result: ["hello"],
    });
  });

  it("shows an unknown job as not_found", async () => {
    const app = anHttpApp({
      jobGet: async () => {
        throw new AppError("job_not_found", "there is no such job");
      },
    });

    const response = await app.inject(`/job/${JOB_ID}`);

    assert.equal(response.statusCode, 404);
    assert.deepEqual(response.json(), { job_id: JOB_ID, status: "not_found", result: null });
  });

  it("shows other errors as problems", async () => {
    const app = anHttpApp({
      jobGet: async () => {
        throw new AppError("invalid_argument", "the id must be a UUID");
      },
    });

    const response = await app.inject("/job/7");

    assert.equal(problemLine(response), "400 invalid_argument: the id must be a UUID");
  });
});
