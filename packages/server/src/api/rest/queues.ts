import { type Static, Type } from "@fastify/type-provider-typebox";
import type { QueueView } from "../../domain/views.ts";
import type { HttpApp } from "./app.ts";
import { acceptNoBody, reason } from "./job-change.ts";
import { Instant, instantJson } from "./job-json.ts";
import { orNull, refTo } from "./optional.ts";
import { refusals } from "./refusals.ts";
import type { RouteOptions } from "./routes.ts";

const count = Type.Integer({ description: "Exact up to 10000, then 10000." });
export const Queue = Type.Object(
  {
    name: Type.String(),
    isPaused: Type.Boolean(),
    pausedAt: orNull(Instant),
    pauseReason: orNull(Type.String()),
    queuedCount: count,
    scheduledCount: count,
    runningCount: count,
    oldestQueuedAt: orNull(Instant),
  },
  { $id: "Queue" },
);
const QueueParams = Type.Object({ name: Type.String() });

/** Looking at queues, pausing and resuming them. */
export function queueRoutes(app: HttpApp, { operations }: RouteOptions): void {
  app.get(
    "/queues",
    {
      schema: {
        operationId: "listQueues",
        summary: "All queues",
        tags: ["queues"],
        response: { 200: Type.Object({ items: Type.Array(refTo(Queue)) }) },
      },
    },
    async () => ({ items: (await operations.queueList()).map(queueJson) }),
  );

  app.post(
    "/queues/:name/pause",
    {
      preValidation: acceptNoBody,
      schema: {
        operationId: "pauseQueue",
        summary: "Stops a queue from starting jobs",
        description: "Running jobs go on. A queue that does not exist is made, paused.",
        tags: ["queues"],
        params: QueueParams,
        body: Type.Object({ reason }, { additionalProperties: false }),
        response: { 200: refTo(Queue), ...refusals(400) },
      },
    },
    async (request) => {
      const why = request.body.reason ?? undefined;
      return queueJson(await operations.queuePause(request.params.name, why));
    },
  );

  app.post(
    "/queues/:name/resume",
    {
      preValidation: acceptNoBody,
      schema: {
        operationId: "resumeQueue",
        summary: "Lets a paused queue start jobs again",
        tags: ["queues"],
        params: QueueParams,
        body: Type.Object({}, { additionalProperties: false }),
        response: { 200: refTo(Queue), ...refusals(404) },
      },
    },
    async (request) => queueJson(await operations.queueResume(request.params.name)),
  );
}

function queueJson(queue: QueueView): Static<typeof Queue> {
  return {
    name: queue.name,
    isPaused: queue.isPaused,
    pausedAt: instantJson(queue.pausedAt),
    pauseReason: queue.pauseReason ?? null,
    queuedCount: queue.queuedCount,
    scheduledCount: queue.scheduledCount,
    runningCount: queue.runningCount,
    oldestQueuedAt: instantJson(queue.oldestQueuedAt),
  };
}
