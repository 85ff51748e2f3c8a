/**
 * The gRPC server: the native services `baton.v1.*`, `proto.MasterService` of the scheduler that Baton replaces, health
 * and reflection. See docs/grpc.md.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Server, ServerCredentials, setLogger } from "@grpc/grpc-js";
import {
  JobServiceService,
  QueueServiceService,
  ServerServiceService,
  TaskServiceService,
  WorkerServiceService,
} from "@baton/sdk/contract";
import {
  MESSAGE_BYTES_MAX,
  PAYLOAD_BYTES_MAX_DEFAULT,
  WATCHERS_PER_SERVER_MAX,
  WORKERS_PER_SERVER_MAX,
} from "../../domain/limits.ts";
import { AppError } from "../../errors.ts";
import { MasterServiceService } from "../../gen/conductor/master.ts";
import { masterMethods } from "../doors/master-service.ts";
import type { Operations } from "../operations.ts";
import type { Logger } from "./error-status.ts";
import { addHealth } from "./health.ts";
import { jobMethods } from "./jobs.ts";
import type { Method, MethodContext } from "./methods.ts";
import { queueMethods } from "./queues.ts";
import { addReflection } from "./reflection.ts";
import { serverMethods } from "./servers.ts";
import { taskMethods } from "./tasks.ts";
import { type WorkerConnect, workerMethods } from "./workers.ts";

/** A connection that says nothing for so long is asked whether it lives, so that a dead peer's streams end. */
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** Behind a proxy one connection may carry all workers and watchers of a server. */
const STREAMS_PER_CONNECTION_MAX = WORKERS_PER_SERVER_MAX + WATCHERS_PER_SERVER_MAX;
const HEALTH_INTERVAL_MS_DEFAULT = 2_000;
/** A database that does not answer for so long is as good as away. */
const HEALTH_ANSWER_MS_MAX = 5_000;

export interface GrpcServerOptions {
  readonly operations: Operations;
  /** Takes worker streams. */
  readonly workerConnect: WorkerConnect;
  /** Id of this server as in `operations.serverList()`. */
  readonly serverId: () => string;
  readonly logger: Logger;
  /** Largest input of a job, in bytes. @default PAYLOAD_BYTES_MAX_DEFAULT */
  readonly payloadBytesMax?: number | undefined;
  /** How often the health status follows `operations.isReady()`, in milliseconds. @default 2,000 */
  readonly healthIntervalMs?: number | undefined;
  /** @default no TLS */
  readonly credentials?: ServerCredentials | undefined;
}

export interface GrpcServer {
  readonly server: Server;
  /**
   * Binds `host:port` (port 0: any free one), begins to follow `operations.isReady()` for the health service, and
   * resolves to the port.
   *
   * @throws AppError address_in_use
   */
  listen(address: string): Promise<number>;
  /** One look at `operations.isReady()`: sets the health status. `listen` repeats it. */
  refreshHealth(): Promise<void>;
  /**
   * Turns NOT_SERVING, takes no new calls, ends watches with `unavailable` and lets the other calls finish; what is still
   * open after `deadlineMs` is cut. Worker streams are to be ended before by their owner.
   */
  shutdown(deadlineMs: number): Promise<void>;
}

/** Puts the services together; nothing runs until `listen`. */
export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  const { operations, logger } = options;
  logThrough(logger);
  const server = new Server({
    "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
    // Answers are measured where they are encoded; batches to workers by the dispatcher.
    "grpc.max_send_message_length": -1,
    "grpc.max_concurrent_streams": STREAMS_PER_CONNECTION_MAX,
    "grpc.keepalive_time_ms": KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
  });
  const context: MethodContext = { logger, openStreams: new Set() };
  for (const method of allMethods(options, context)) method(server);
  const health = addHealth(server, SERVICE_NAMES);
  addReflection(server);

  const refreshHealth = async (): Promise<void> => {
    const late = new AbortController();
    const isReady = await Promise.race([
      operations.isReady().catch(() => false),
      sleep(HEALTH_ANSWER_MS_MAX, false, { signal: late.signal, ref: false }).catch(() => false),
    ]);
    late.abort();
    health.setServing(isReady);
  };

  const stopFollowing = new AbortController();
  let following = Promise.resolve();
  const follow = async (intervalMs: number): Promise<void> => {
    const { signal } = stopFollowing;
    while (!signal.aborted) {
      await refreshHealth();
      await sleep(intervalMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  };

  return {
    server,
    refreshHealth,
    async listen(address) {
      const port = await bind(server, address, options.credentials);
      following = follow(options.healthIntervalMs ?? HEALTH_INTERVAL_MS_DEFAULT);
      return port;
    },
    async shutdown(deadlineMs) {
      stopFollowing.abort();
      health.close();
      for (const stream of context.openStreams) stream.abort(SHUTTING_DOWN);
      await Promise.all([close(server, deadlineMs, logger), following]);
    },
  };
}

const SHUTTING_DOWN = new AppError(
  "unavailable",
  "This server is shutting down. Connect again, to another server or in a moment.",
);

const SERVICE_NAMES = [
  JobServiceService.get,
  QueueServiceService.list,
  TaskServiceService.list,
  WorkerServiceService.list,
  ServerServiceService.list,
  MasterServiceService.listJobs,
].map(({ path }) => path.slice(1, path.lastIndexOf("/")));

function allMethods(options: GrpcServerOptions, context: MethodContext): readonly Method[] {
  const { operations, workerConnect, serverId } = options;
  const payloadBytesMax = options.payloadBytesMax ?? PAYLOAD_BYTES_MAX_DEFAULT;
  return [
    jobMethods(operations, context, payloadBytesMax),
    queueMethods(operations, context),
    taskMethods(operations, context),
    workerMethods(operations, context, workerConnect),
    serverMethods(operations, context),
    masterMethods({ operations, context, serverId, payloadBytesMax }),
  ].flatMap((methods) => Object.values<Method>(methods));
}

/**
 * What grpc-js says of itself, for the whole process, goes to the server's log instead of to the console. That it
 * could not listen is left out: `bind` throws that.
 */
function logThrough(logger: Logger): void {
  const say = (...parts: readonly unknown[]): void => {
    const message = parts.map(String).join(" ");
    if (!message.startsWith("No address added")) logger.warn({ from: "grpc-js" }, message);
  };
  setLogger({ error: say, info: say, debug: say });
}

function bind(
  server: Server,
  address: string,
  credentials: ServerCredentials = ServerCredentials.createInsecure(),
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync(address, credentials, (error, port) => {
    if (error === null) resolve(port);
    else reject(bindError(address, error));
  });
  return promise;
}

function bindError(address: string, error: Error): Error {
  if (!error.message.includes("EADDRINUSE")) return error;
  return new AppError(
    "address_in_use",
    `gRPC cannot listen on ${address}: another program does. Stop it or choose another port.`,
    { address },
    { cause: error },
  );
}

async function close(server: Server, deadlineMs: number, logger: Logger): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  server.tryShutdown(() => resolve(true));
  const timer = setTimeout(() => resolve(false), deadlineMs);
  const isClean = await promise;
  clearTimeout(timer);
  if (isClean) return;
  logger.warn({ deadlineMs }, "gRPC calls were still open at the deadline and are cut");
  server.forceShutdown();
}
