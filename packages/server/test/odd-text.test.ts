/** Text that databases and decoders stumble over comes back as it was, or is refused alike by every door. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import {
  CancelRequest,
  JobServiceService,
  JobSpec,
  ListJobsRequest,
  QueueServiceService,
  TaskDefinition,
  TaskServiceService,
} from "@baton/sdk/contract";
import { createHttpApp } from "../src/api/http.ts";
import { memberOf } from "../src/api/rest/json-body.ts";
import type { Engine } from "../src/engine.ts";
import { anEngine, aPlayedWorker } from "./an-engine.ts";
import { aDatabase } from "./database.ts";
import { JOB_ID, startGrpc, type UnaryDefinition } from "./grpc.ts";
import { suiteCleanup } from "./suite.ts";

describe("text", () => {
  const cleanup = suiteCleanup();
  let engine: Engine;
  before(async () => {
    engine = await anEngine(await aDatabase(cleanup), cleanup);
  });

  const rest = async (method: "GET" | "POST" | "PUT", url: string, payload?: string) => {
    const app = createHttpApp({ operations: engine.operations, version: "0.0.0" });
    const headers = payload === undefined ? {} : { "content-type": "application/json" };
    return app.inject({ method, url, headers, ...(payload !== undefined && { payload }) });
  };
  const refusedByRest = async (...call: Parameters<typeof rest>): Promise<unknown[]> => {
    const problem: unknown = (await rest(...call)).json();
    return [memberOf(problem, "code"), memberOf(problem, "detail")];
  };
  const refusedByGrpc = async <Request, Response>(
    method: UnaryDefinition<Request, Response>,
    request: Request,
  ): Promise<unknown[]> => {
    await using bench = await startGrpc(engine.operations);
    const { told } = await bench.refusal(method, request);
    return [memberOf(told, "code"), memberOf(told, "message")];
  };

  for (const json of ['"\\ud800"', '{"\\ud83d":"\\u0000"}', '"\\ude00\\ud83d"', '"\\u0000"']) {
    it(`keeps the escapes of ${json} in every payload, through every door`, async () => {
      await using bench = await startGrpc(engine.operations);
      const queue = `odd-${Buffer.from(json).toString("hex")}`;
      const worker = await aPlayedWorker(engine, { queues: [queue] });
      await rest("POST", "/api/v1/jobs", `{"task":"noop","queue":"${queue}","input":${json}}`);
      const first = await worker.job();
      await bench.answer(
        JobServiceService.submit,
        JobSpec.fromPartial({ task: "noop", queue, input: Buffer.from(json) }),
      );
      const second = await worker.job();
      const ref = { jobId: first.id, attempt: 1 };

      worker.connection.progress([{ ...ref, value: json }]);
      const line = { ...ref, at: new Date(), level: "info", message: "m", fields: `{"f":${json}}` };
      await worker.connection.logs([line]);
      await worker.connection.outcomes([
        { ...ref, kind: "succeeded", result: json, durationMs: 1 },
      ]);

      assert.deepEqual([first.input, second.input], [json, json]);
      const shown = (await rest("GET", `/api/v1/jobs/${first.id}`)).body;
      assert.ok(shown.includes(`"input":${json}`) && shown.includes(`"result":${json}`), shown);
      const lines = (await rest("GET", `/api/v1/jobs/${first.id}/logs`)).body;
      assert.ok(lines.includes(`"fields":{"f":${json}}`), lines);
      const job = await bench.answer(JobServiceService.get, { jobId: first.id });
      assert.deepEqual([String(job.input), String(job.result)], [json, json]);
    });
  }

  for (const [what, text] of [
    ["NUL", "a\0b"],
    // Protobuf cannot even carry it: the encoder of a caller makes U+FFFD of it.
    ["half a surrogate pair", "a\ud800"],
  ] as const) {
    for (const [field, method, url, body] of [
      ["reason", "POST", `/api/v1/jobs/${JOB_ID}/cancel`, { reason: text }],
      ["reason", "POST", "/api/v1/jobs/cancel", { filter: {}, reason: text }],
      ["reason", "POST", "/api/v1/queues/q/pause", { reason: text }],
      ["description", "PUT", "/api/v1/tasks/t", { description: text }],
      ["a tag", "POST", "/api/v1/jobs/redrive", { filter: { tag: text } }],
      ["a tag", "POST", "/api/v1/jobs", { task: "t", tags: [text] }],
    ] as const) {
      it(`with ${what} is refused at ${method} ${url} as ${field}`, async () => {
        const [code, detail] = await refusedByRest(method, url, JSON.stringify(body));

        assert.equal(code, "invalid_argument");
        assert.match(String(detail), new RegExp(`^${field} must be .* received "a\\\\u`));
      });
    }
  }

  it("with NUL is refused by gRPC in the words of REST", async () => {
    const text = "a\0b";
    const body = JSON.stringify({ reason: text });

    assert.deepEqual(
      await refusedByGrpc(
        JobServiceService.cancel,
        CancelRequest.fromPartial({ jobId: JOB_ID, reason: text }),
      ),
      await refusedByRest("POST", `/api/v1/jobs/${JOB_ID}/cancel`, body),
    );
    assert.deepEqual(
      await refusedByGrpc(
        TaskServiceService.put,
        TaskDefinition.fromPartial({ name: "t", description: text }),
      ),
      await refusedByRest("PUT", "/api/v1/tasks/t", JSON.stringify({ description: text })),
    );
    assert.deepEqual(
      await refusedByGrpc(
        JobServiceService.list,
        ListJobsRequest.fromPartial({ filter: { tag: text } }),
      ),
      await refusedByRest("GET", "/api/v1/jobs?tag=a%00b"),
    );
  });

  it("with NUL names no queue and no task", async () => {
    const name = "a\0b";
    const noQueue = ["queue_not_found", 'There is no queue "a\\u0000b".'];
    const noTask = ["task_not_found", 'There is no task "a\\u0000b".'];

    assert.deepEqual(await refusedByRest("POST", "/api/v1/queues/a%00b/resume"), noQueue);
    assert.deepEqual(await refusedByGrpc(QueueServiceService.resume, { name }), noQueue);
    assert.deepEqual(await refusedByRest("GET", "/api/v1/tasks/a%00b"), noTask);
    assert.deepEqual(await refusedByGrpc(TaskServiceService.get, { name }), noTask);
  });
});
