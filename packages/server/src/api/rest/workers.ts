import { type Static, Type } from "@fastify/type-provider-typebox";
import { type ServerView, WORKER_STATES, type WorkerView } from "../../domain/views.ts";
import type { HttpApp } from "./app.ts";
import { Instant } from "./job-json.ts";
import { refTo } from "./optional.ts";
import type { RouteOptions } from "./routes.ts";

export const Worker = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    state: Type.Enum(WORKER_STATES, { type: "string" }),
    server: Type.String({ description: "Name of the server it is connected to." }),
    host: Type.String(),
    pid: Type.Integer(),
    sdk: Type.String(),
    slots: Type.Integer({ description: "Jobs it runs at a time." }),
    runningCount: Type.Integer(),
    tasks: Type.Array(Type.String()),
    queues: Type.Array(Type.String()),
    labels: Type.Record(Type.String(), Type.String()),
    connectedAt: Instant,
    seenAt: Instant,
  },
  { $id: "Worker" },
);
export const Server = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    version: Type.String(),
    startedAt: Instant,
    renewedAt: Instant,
    workerCount: Type.Integer(),
    isAlive: Type.Boolean(),
  },
  { $id: "Server" },
);

/** Looking at the processes: workers and servers. */
export function workerRoutes(app: HttpApp, { operations }: RouteOptions): void {
  app.get(
    "/workers",
    {
      schema: {
        operationId: "listWorkers",
        summary: "Workers, connected ones first",
        tags: ["cluster"],
        response: { 200: Type.Object({ items: Type.Array(refTo(Worker)) }) },
      },
    },
    async () => ({ items: (await operations.workerList()).map(workerJson) }),
  );

  app.get(
    "/servers",
    {
      schema: {
        operationId: "listServers",
        summary: "Servers of this cluster",
        tags: ["cluster"],
        response: { 200: Type.Object({ items: Type.Array(refTo(Server)) }) },
      },
    },
    async () => ({ items: (await operations.serverList()).map(serverJson) }),
  );
}

function workerJson(worker: WorkerView): Static<typeof Worker> {
  return {
    id: worker.id,
    name: worker.name,
    state: worker.state,
    server: worker.server,
    host: worker.host,
    pid: worker.pid,
    sdk: worker.sdk,
    slots: worker.slots,
    runningCount: worker.runningCount,
    tasks: [...worker.tasks],
    queues: [...worker.queues],
    labels: { ...worker.labels },
    connectedAt: worker.connectedAt.toISOString(),
    seenAt: worker.seenAt.toISOString(),
  };
}

function serverJson(server: ServerView): Static<typeof Server> {
  return {
    id: server.id,
    name: server.name,
    version: server.version,
    startedAt: server.startedAt.toISOString(),
    renewedAt: server.renewedAt.toISOString(),
    workerCount: server.workerCount,
    isAlive: server.isAlive,
  };
}
