/** The HTTP server: public pages, the native API and the compatibility doors in their scopes. */
import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from "fastify";
import {
  EVENT_STREAM_HEARTBEAT_MS,
  EVENT_STREAM_STALL_MS_MAX,
  HTTP_CLOSE_MS_MAX,
  PAYLOAD_BYTES_MAX_DEFAULT,
  REQUEST_ENVELOPE_BYTES,
  REQUEST_RECEIVE_MS_MAX,
  WATCHERS_PER_SERVER_MAX,
} from "../domain/limits.ts";
import { healthDoor } from "./doors/http-health.ts";
import { orchestratorDoor } from "./doors/http-orchestrator.ts";
import { platformDoor } from "./doors/http-platform.ts";
import { LongRequests } from "./long-requests.ts";
import type { Operations } from "./operations.ts";
import type { HttpApp } from "./rest/app.ts";
import { answerBrokenRequest, checkHost } from "./rest/broken-request.ts";
import { jobChangeRoutes } from "./rest/job-change.ts";
import { jobEventRoutes } from "./rest/job-events.ts";
import { submitRoutes } from "./rest/job-submit.ts";
import { jobRoutes } from "./rest/jobs.ts";
import { acceptJson } from "./rest/json-body.ts";
import { serveOpenApi } from "./rest/openapi.ts";
import { answerError, answerRouteNotFound } from "./rest/problem.ts";
import { checkQueryText } from "./rest/query-text.ts";
import { queueRoutes } from "./rest/queues.ts";
import type { RouteOptions } from "./rest/routes.ts";
import { validatorCompiler } from "./rest/shape.ts";
import { SHARED_SCHEMAS } from "./rest/shared-schemas.ts";
import { taskRoutes } from "./rest/tasks.ts";
import { workerRoutes } from "./rest/workers.ts";

export interface HttpAppOptions {
  readonly operations: Operations;
  /** Shown in the OpenAPI document. */
  readonly version: string;
  /** Absent: nothing is logged. Requests are logged at debug, failures of the server at error. */
  readonly logger?: FastifyBaseLogger | undefined;
  /** Bytes of one job's input. @default PAYLOAD_BYTES_MAX_DEFAULT */
  readonly payloadBytesMax?: number | undefined;
  /** Event streams and waits for results at a time. @default WATCHERS_PER_SERVER_MAX */
  readonly longRequestsMax?: number | undefined;
  /** @default EVENT_STREAM_HEARTBEAT_MS */
  readonly heartbeatMs?: number | undefined;
  /** @default EVENT_STREAM_STALL_MS_MAX */
  readonly stallMsMax?: number | undefined;
  /** A request must have arrived within so long. @default REQUEST_RECEIVE_MS_MAX */
  readonly receiveMsMax?: number | undefined;
  /** Requests that run when the server closes are cut off after so long. @default HTTP_CLOSE_MS_MAX */
  readonly closeMsMax?: number | undefined;
}

/**
 * Longest name or id in a path, percent-encoded: enough for every valid one, so that a longer one gets the answer of
 * the operation instead of a routing error.
 */
const PATH_PARAMETER_CHARACTERS_MAX = 4_096;
const REQUEST_ID = /^[\w.:-]{1,128}$/;
const SECURITY_HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
} as const;

/**
 * Makes the HTTP server; `listen` starts it. `close` ends event streams and waits at once, lets other
 * requests finish for a while, and refuses new connections.
 */
export function createHttpApp(options: HttpAppOptions): FastifyInstance {
  const { logger, receiveMsMax = REQUEST_RECEIVE_MS_MAX } = options;
  const app = fastify({
    ...(logger === undefined ? { logger: false } : { loggerInstance: logger }),
    logController: new LogController({
      disableRequestLogging: true,
      requestIdLogLabel: "requestId",
    }),
    bodyLimit: (options.payloadBytesMax ?? PAYLOAD_BYTES_MAX_DEFAULT) + REQUEST_ENVELOPE_BYTES,
    requestTimeout: receiveMsMax,
    // Timeouts are looked for so often.
    http: { requireHostHeader: false, connectionsCheckingInterval: Math.min(receiveMsMax, 10_000) },
    exposeHeadRoutes: false,
    return503OnClosing: false,
    genReqId: requestIdOf,
    routerOptions: { maxParamLength: PATH_PARAMETER_CHARACTERS_MAX },
    frameworkErrors: (error, request, reply) => {
      void reply.headers(SECURITY_HEADERS).header("x-request-id", request.id);
      answerError(error, request, reply);
    },
    clientErrorHandler: answerBrokenRequest,
  }).withTypeProvider<TypeBoxTypeProvider>();

  app.setValidatorCompiler(validatorCompiler);
  // Response schemas serve types and documentation. Compiled serializers (fast-json-stringify) were
  // not faster for a submit's answer (about 0.7 us both) and cost 0.2 s at each start.
  app.setSerializerCompiler(() => JSON.stringify);
  app.setErrorHandler(answerError);
  app.setNotFoundHandler(answerRouteNotFound);
  app.decorateRequest("bodyText", "");
  // An input stands one level below its request's body.
  acceptJson(app, 1);
  for (const schema of SHARED_SCHEMAS) app.addSchema(schema);
  app.addHook("onRequest", async (request, reply) => {
    void reply.headers(SECURITY_HEADERS).header("x-request-id", request.id);
    checkHost(request);
    checkQueryText(request.url);
  });
  // HTTP lets a server ignore what it does not know; Node would refuse it without a word.
  app.server.on("checkExpectation", (request, response) =>
    app.server.emit("request", request, response),
  );
  app.addHook("onResponse", async (request, reply) => {
    const { method, url } = request;
    const durationMs = Math.round(reply.elapsedTime);
    request.log.debug({ method, url, status: reply.statusCode, durationMs }, "request");
  });

  const longRequests = new LongRequests(options.longRequestsMax ?? WATCHERS_PER_SERVER_MAX);
  app.addHook("preClose", async () => {
    longRequests.abortAll();
    // A request whose body never comes must not hold a stop for ever.
    const closeMsMax = options.closeMsMax ?? HTTP_CLOSE_MS_MAX;
    setTimeout(() => app.server.closeAllConnections(), closeMsMax).unref();
  });
  serveOpenApi(app, options.version);
  void app.register(async (scope: HttpApp) => healthDoor(scope, options.operations));
  void app.register(async (scope: HttpApp) => {
    const routeOptions = {
      operations: options.operations,
      longRequests,
      heartbeatMs: options.heartbeatMs ?? EVENT_STREAM_HEARTBEAT_MS,
      stallMsMax: options.stallMsMax ?? EVENT_STREAM_STALL_MS_MAX,
    };
    void scope.register(async (api: HttpApp) => nativeApi(api, routeOptions), {
      prefix: "/api/v1",
    });
    platformDoor(scope, options.operations);
    orchestratorDoor(scope, options.operations);
  });
  return app;
}

function nativeApi(app: HttpApp, options: RouteOptions): void {
  submitRoutes(app, options);
  jobRoutes(app, options);
  jobChangeRoutes(app, options);
  jobEventRoutes(app, options);
  queueRoutes(app, options);
  taskRoutes(app, options);
  workerRoutes(app, options);
}

/** The caller's own request id if it is plain, so that logs of both sides can be joined. */
function requestIdOf(request: IncomingMessage): string {
  const given = request.headers["x-request-id"];
  return typeof given === "string" && REQUEST_ID.test(given) ? given : randomUUID();
}
