import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { anHttpApp, problemLine, send } from "../../../test/http-app.ts";
import type { TaskDefinition } from "../../domain/views.ts";
import { AppError } from "../../errors.ts";

const TASK_JSON = {
  name: "resize",
  description: null,
  maxAttempts: null,
  retry: null,
  attemptTimeoutMs: null,
  queueTimeoutMs: null,
  deadlineMs: null,
  heartbeatTimeoutMs: null,
  cancelGraceMs: null,
  updatedAt: null,
  inputSchema: null,
};

describe("task routes", () => {
  it("lists tasks", async () => {
    const app = anHttpApp({ taskList: async () => [{ name: "resize" }, { name: "echo" }] });

    const response = await app.inject("/api/v1/tasks");

    assert.deepEqual(response.json(), { items: [TASK_JSON, { ...TASK_JSON, name: "echo" }] });
  });

  it("shows a task with its schema as JSON", async () => {
    const app = anHttpApp({
      taskGet: async (name) => ({
        name,
        retry: { strategy: "fixed" },
        inputSchema: '{"maximum":12345678901234567890}',
        updatedAt: new Date("2026-11-22T10:00:00Z"),
      }),
    });

    const response = await app.inject("/api/v1/tasks/resize");

    assert.match(response.body, /"inputSchema":\{"maximum":12345678901234567890\}\}$/);
    const { retry, updatedAt } = response.json<{ retry: unknown; updatedAt: unknown }>();
    assert.deepEqual(retry, { strategy: "fixed", baseMs: null, maxMs: null, jitter: null });
    assert.equal(updatedAt, "2026-11-22T10:00:00.000Z");
  });

  it("defines a task", async () => {
    const put: TaskDefinition[] = [];
    const app = anHttpApp({
      taskPut: async (definition) => {
        put.push(definition);
        return definition;
      },
    });

    const response = await send(app, "PUT", "/api/v1/tasks/resize", {
      description: "Resizes an image",
      maxAttempts: 5,
      retry: { strategy: "fixed", baseMs: 10 },
      attemptTimeoutMs: 1,
      inputSchema: { type: "object" },
    });

    assert.equal(response.statusCode, 200);
    assert.deepEqual(JSON.parse(JSON.stringify(put)), [
      {
        name: "resize",
        description: "Resizes an image",
        maxAttempts: 5,
        retry: { strategy: "fixed", baseMs: 10 },
        attemptTimeoutMs: 1,
        inputSchema: '{"type":"object"}',
      },
    ]);
  });

  it("takes back what it shows, without the name and the time", async () => {
    const put: TaskDefinition[] = [];
    const app = anHttpApp({
      taskGet: async (name) => ({ name, maxAttempts: 2, retry: { baseMs: 1 } }),
      taskPut: async (definition) => {
        put.push(definition);
        return definition;
      },
    });
    const shown = (await app.inject("/api/v1/tasks/resize")).json<Record<string, unknown>>();
    delete shown["name"];
    delete shown["updatedAt"];

    await send(app, "PUT", "/api/v1/tasks/resize", shown);

    assert.deepEqual(JSON.parse(JSON.stringify(put)), [
      { name: "resize", maxAttempts: 2, retry: { baseMs: 1 } },
    ]);
  });

  it("names an unknown property", async () => {
    const response = await send(anHttpApp(), "PUT", "/api/v1/tasks/resize", { maxAttempt: 5 });

    assert.match(
      problemLine(response),
      /^400 invalid_argument: unknown property maxAttempt; known/,
    );
  });

  it("shows that there is no such task", async () => {
    const app = anHttpApp({
      taskGet: async (name) => {
        throw new AppError("task_not_found", `there is no task ${name}`);
      },
    });

    const response = await app.inject("/api/v1/tasks/nope");

    assert.equal(problemLine(response), "404 task_not_found: there is no task nope");
  });
});
