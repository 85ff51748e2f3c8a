/** Looking at jobs: one, many, its result, its attempts, its log. */
import { Type } from "@fastify/type-provider-typebox";
import { isFinal } from "../../domain/job.ts";
import {
  LIST_LIMIT_DEFAULT,
  LIST_LIMIT_MAX,
  LOG_LIST_LIMIT_DEFAULT,
  LOG_LIST_LIMIT_MAX,
  RESULT_WAIT_MS_MAX,
} from "../../domain/limits.ts";
import type { JobView } from "../../domain/views.ts";
import type { Operations } from "../operations.ts";
import type { HttpApp } from "./app.ts";
import { filterOfQuery, filterQuery } from "./job-filter.ts";
import {
  Attempt,
  attemptJson,
  jobJson,
  JobPage,
  JobResult,
  jobResultJson,
  JobWithAttempts,
  logLineJson,
  LogPage,
  pageJson,
} from "./job-json.ts";
import { refTo, textOf } from "./optional.ts";
import { refusals } from "./refusals.ts";
import type { RouteOptions } from "./routes.ts";

export const JobParams = Type.Object({ id: Type.String({ description: "A job's UUID." }) });
const Cursor = Type.Optional(
  Type.String({ description: "nextCursor of the previous page, with the same filters." }),
);

function limitQuery(byDefault: number, most: number): ReturnType<typeof Type.Integer> {
  return Type.Integer({ minimum: 1, maximum: most, description: `Default: ${byDefault}.` });
}

export function jobRoutes(app: HttpApp, { operations, longRequests }: RouteOptions): void {
  app.get(
    "/jobs",
    {
      schema: {
        operationId: "listJobs",
        summary: "Lists jobs, newest first",
        description: "Payloads are left out unless asked for. The header Link names the next page.",
        tags: ["jobs"],
        querystring: Type.Object(
          {
            ...filterQuery,
            limit: Type.Optional(limitQuery(LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX)),
            cursor: Cursor,
            includePayloads: Type.Optional(Type.Boolean()),
          },
          { additionalProperties: false },
        ),
        response: { 200: textOf(JobPage), ...refusals(400) },
      },
    },
    async (request, reply) => {
      const { limit, cursor, includePayloads } = request.query;
      const filter = filterOfQuery(request.query);
      const page = await operations.jobList({ filter, limit, cursor, includePayloads });
      linkNext(reply, request.url, page.nextCursor);
      const items = page.items.map((job) => jobJson(job));
      return reply.type("application/json").send(pageJson(items, page.nextCursor));
    },
  );

  app.get(
    "/jobs/:id",
    {
      schema: {
        operationId: "getJob",
        summary: "One job with its payloads and attempts",
        tags: ["jobs"],
        params: JobParams,
        response: { 200: textOf(JobWithAttempts), ...refusals(400, 404) },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const [job, attempts] = await Promise.all([
        operations.jobGet(id),
        operations.attemptList(id),
      ]);
      return reply.type("application/json").send(jobJson(job, attempts));
    },
  );

  app.get(
    "/jobs/:id/result",
    {
      schema: {
        operationId: "getJobResult",
        summary: "How a job ended",
        description: "200 when it has ended, in whichever way; 202 when it has not within waitMs.",
        tags: ["jobs"],
        params: JobParams,
        querystring: Type.Object(
          {
            waitMs: Type.Optional(
              Type.Integer({
                minimum: 0,
                maximum: RESULT_WAIT_MS_MAX,
                description: "Wait so long for the end. Default: 0.",
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 200: textOf(JobResult), 202: textOf(JobResult), ...refusals(400, 404, 429) },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      let job = await operations.jobGet(id);
      const waitMs = request.query.waitMs ?? 0;
      if (!isFinal(job.state) && waitMs > 0) {
        using wait = longRequests.open(reply.raw);
        const signal = AbortSignal.any([wait.signal, AbortSignal.timeout(waitMs)]);
        job = await waitForEnd(operations, job, signal);
      }
      const text = jobResultJson(job);
      return reply
        .code(isFinal(job.state) ? 200 : 202)
        .type("application/json")
        .send(text);
    },
  );

  app.get(
    "/jobs/:id/attempts",
    {
      schema: {
        operationId: "listAttempts",
        summary: "Attempts of a job, oldest first",
        tags: ["jobs"],
        params: JobParams,
        response: {
          200: Type.Object({ items: Type.Array(refTo(Attempt)) }),
          ...refusals(400, 404),
        },
      },
    },
    async (request) => {
      const attempts = await operations.attemptList(request.params.id);
      return { items: attempts.map(attemptJson) };
    },
  );

  app.get(
    "/jobs/:id/logs",
    {
      schema: {
        operationId: "listLogs",
        summary: "Log lines of a job in the order of writing",
        tags: ["jobs"],
        params: JobParams,
        querystring: Type.Object(
          {
            attempt: Type.Optional(
              Type.Integer({ minimum: 1, description: "Absent: all attempts." }),
            ),
            limit: Type.Optional(limitQuery(LOG_LIST_LIMIT_DEFAULT, LOG_LIST_LIMIT_MAX)),
            cursor: Cursor,
          },
          { additionalProperties: false },
        ),
        response: { 200: textOf(LogPage), ...refusals(400, 404) },
      },
    },
    async (request, reply) => {
      const { attempt, limit, cursor } = request.query;
      const page = await operations.logList({ jobId: request.params.id, attempt, limit, cursor });
      linkNext(reply, request.url, page.nextCursor);
      const text = pageJson(page.items.map(logLineJson), page.nextCursor);
      return reply.type("application/json").send(text);
    },
  );
}

/** The job as it is when it has ended, or as last seen when the signal aborts first. */
async function waitForEnd(
  operations: Operations,
  job: JobView,
  signal: AbortSignal,
): Promise<JobView> {
  let latest = job;
  try {
    for await (const view of operations.watchJob(job.id, signal)) latest = view;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return latest;
}

/** RFC 8288: the same request with the next cursor. */
function linkNext(
  reply: { header(name: string, value: string): unknown },
  url: string,
  nextCursor: string | undefined,
): void {
  if (nextCursor === undefined) return;
  const [path = "", query = ""] = url.split("?", 2);
  const parameters = new URLSearchParams(query);
  parameters.set("cursor", nextCursor);
  reply.header("link", `<${path}?${parameters.toString()}>; rel="next"`);
}
