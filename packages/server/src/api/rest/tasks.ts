import { type Static, Type } from "@fastify/type-provider-typebox";
import type { RetryPolicy } from "../../domain/retry.ts";
import type { TaskDefinition } from "../../domain/views.ts";
import type { HttpApp } from "./app.ts";
import { RetryBody, sharedOptions, sharedOptionsOf } from "./job-body.ts";
import { Instant, instantJson, withJsonMembers } from "./job-json.ts";
import { exactJson, memberOf } from "./json-body.ts";
import { optional, orNull, textOf } from "./optional.ts";
import { refusals } from "./refusals.ts";
import type { RouteOptions } from "./routes.ts";

const TaskBody = Type.Object(
  {
    description: optional(Type.String()),
    ...sharedOptions,
    inputSchema: Type.Optional(
      Type.Unknown({ description: "JSON Schema that inputs must fit. Absent or null: any input." }),
    ),
  },
  { $id: "TaskBody", additionalProperties: false, description: "Defaults of a task's jobs." },
);

const milliseconds = orNull(Type.Integer({ description: "Milliseconds. null: the default." }));
const taskFields = {
  name: Type.String(),
  description: orNull(Type.String()),
  maxAttempts: orNull(Type.Integer()),
  retry: orNull(RetryBody),
  attemptTimeoutMs: milliseconds,
  queueTimeoutMs: milliseconds,
  deadlineMs: milliseconds,
  heartbeatTimeoutMs: milliseconds,
  cancelGraceMs: milliseconds,
  updatedAt: orNull(Instant),
};
const TaskFields = Type.Object(taskFields);
export const Task = Type.Object(
  { ...taskFields, inputSchema: Type.Unknown({ description: "JSON Schema, or null." }) },
  { $id: "Task", description: "What a task is to the server. null: the server's default." },
);
export const TaskList = Type.Object(
  { items: Type.Array(Type.Unsafe<unknown>({ $ref: "Task#" })) },
  { $id: "TaskList" },
);
const TaskParams = Type.Object({ name: Type.String() });

/** Definitions of tasks. */
export function taskRoutes(app: HttpApp, { operations }: RouteOptions): void {
  app.get(
    "/tasks",
    {
      schema: {
        operationId: "listTasks",
        summary: "All tasks",
        tags: ["tasks"],
        response: { 200: textOf(TaskList) },
      },
    },
    async (_request, reply) => {
      const items = (await operations.taskList()).map(taskJson);
      return reply.type("application/json").send(`{"items":[${items.join(",")}]}`);
    },
  );

  app.get(
    "/tasks/:name",
    {
      schema: {
        operationId: "getTask",
        summary: "One task",
        tags: ["tasks"],
        params: TaskParams,
        response: { 200: textOf(Task), ...refusals(404) },
      },
    },
    async (request, reply) => {
      const task = await operations.taskGet(request.params.name);
      return reply.type("application/json").send(taskJson(task));
    },
  );

  app.put(
    "/tasks/:name",
    {
      schema: {
        operationId: "putTask",
        summary: "Defines a task, or replaces its definition",
        description: "Applies to jobs accepted from then on.",
        tags: ["tasks"],
        params: TaskParams,
        body: TaskBody,
        response: { 200: textOf(Task), ...refusals(400, 413, 415, 429) },
      },
    },
    async (request, reply) => {
      const inputSchema = memberOf(exactJson(request.body, request.bodyText), "inputSchema");
      const task = await operations.taskPut({
        name: request.params.name,
        description: request.body.description ?? undefined,
        ...sharedOptionsOf(request.body),
        inputSchema:
          inputSchema === undefined || inputSchema === null
            ? undefined
            : JSON.stringify(inputSchema),
      });
      return reply.type("application/json").send(taskJson(task));
    },
  );
}

function taskJson(task: TaskDefinition): string {
  const fields: Static<typeof TaskFields> = {
    name: task.name,
    description: task.description ?? null,
    maxAttempts: task.maxAttempts ?? null,
    retry: retryJson(task.retry),
    attemptTimeoutMs: task.attemptTimeoutMs ?? null,
    queueTimeoutMs: task.queueTimeoutMs ?? null,
    deadlineMs: task.deadlineMs ?? null,
    heartbeatTimeoutMs: task.heartbeatTimeoutMs ?? null,
    cancelGraceMs: task.cancelGraceMs ?? null,
    updatedAt: instantJson(task.updatedAt),
  };
  return withJsonMembers(fields, { inputSchema: task.inputSchema ?? "null" });
}

function retryJson(retry: RetryPolicy | undefined): Static<typeof RetryBody> | null {
  if (retry === undefined) return null;
  return {
    strategy: retry.strategy ?? null,
    baseMs: retry.baseMs ?? null,
    maxMs: retry.maxMs ?? null,
    jitter: retry.jitter ?? null,
  };
}
