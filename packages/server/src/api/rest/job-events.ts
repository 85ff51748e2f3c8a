/** Watching one job or the jobs of a filter, as server-sent events. */
import { Type } from "@fastify/type-provider-typebox";
import type { FastifyRequest } from "fastify";
import { isFinal } from "../../domain/job.ts";
import type { JobEventView, JobView } from "../../domain/views.ts";
import { AppError } from "../../errors.ts";
import { sendEvents, type ServerSentEvent } from "../sse.ts";
import type { HttpApp } from "./app.ts";
import { filterOfQuery, filterQuery } from "./job-filter.ts";
import { eventJson, jobJson } from "./job-json.ts";
import { JobParams } from "./jobs.ts";
import { asAppError, problemJson } from "./problem.ts";
import { refusals } from "./refusals.ts";
import type { RouteOptions } from "./routes.ts";

function eventStream(data: string): object {
  return {
    description: `Events named job; the data of each is a ${data} of this document.`,
    content: { "text/event-stream": { schema: { type: "string" } } },
  };
}

export function jobEventRoutes(app: HttpApp, options: RouteOptions): void {
  const { operations, longRequests } = options;
  app.get(
    "/jobs/:id/events",
    {
      schema: {
        operationId: "watchJob",
        summary: "Watches one job",
        description:
          "Server-sent events named `job`, each a whole job: its present shape, then again after each " +
          "change, ending after its final state. A browser that reconnects after the end gets 204 and stops.",
        tags: ["jobs"],
        params: JobParams,
        response: {
          200: Type.Unsafe<string>(eventStream("Job")),
          204: Type.Null({ description: "Last-Event-ID was the job's end: nothing will come." }),
          ...refusals(400, 404, 429),
        },
      },
    },
    async (request, reply) => {
      using watch = longRequests.open(reply.raw);
      const views = operations.watchJob(request.params.id, watch.signal)[Symbol.asyncIterator]();
      // The first view is awaited before anything is sent, so that an unknown job is a plain 404.
      const first = await views.next();
      if (first.done === true) return await reply.code(204).send(null);
      if (isFinal(first.value.state) && request.headers["last-event-id"] === idOf(first.value)) {
        await views.return?.();
        return await reply.code(204).send(null);
      }
      await sendEvents(reply, jobEvents(first.value, views), {
        ...options,
        signal: watch.signal,
        onError: (error) => problemEvent(error, request),
      });
      return await reply;
    },
  );

  app.get(
    "/events",
    {
      schema: {
        operationId: "watchJobs",
        summary: "Watches the jobs of a filter",
        description:
          "Server-sent events named `job`, one for each change of a matching job's state, from now on, " +
          "or after a sequence number given as Last-Event-ID or afterSequence. A stream that fails ends " +
          "with an event named `problem`.",
        tags: ["jobs"],
        querystring: Type.Object(
          {
            ...filterQuery,
            afterSequence: Type.Optional(
              Type.Integer({
                minimum: 0,
                maximum: Number.MAX_SAFE_INTEGER,
                description: "Absent: from now on. The header Last-Event-ID goes before it.",
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: {
          200: Type.Unsafe<string>(eventStream("JobEvent")),
          ...refusals(400, 429),
        },
      },
    },
    async (request, reply) => {
      const filter = filterOfQuery(request.query);
      const afterSequence = lastSequence(request) ?? request.query.afterSequence;
      using watch = longRequests.open(reply.raw);
      const events = operations.watchEvents(filter, afterSequence, watch.signal);
      await sendEvents(reply, changeEvents(events), {
        ...options,
        signal: watch.signal,
        onError: (error) => problemEvent(error, request),
      });
      return await reply;
    },
  );
}

async function* jobEvents(
  first: JobView,
  rest: AsyncIterator<JobView>,
): AsyncGenerator<ServerSentEvent> {
  let result: IteratorResult<JobView> = { done: false, value: first };
  try {
    while (result.done !== true) {
      yield { event: "job", id: idOf(result.value), data: jobJson(result.value) };
      result = await rest.next();
    }
  } finally {
    await rest.return?.();
  }
}

async function* changeEvents(events: AsyncIterable<JobEventView>): AsyncGenerator<ServerSentEvent> {
  for await (const event of events) {
    yield { event: "job", id: String(event.sequence), data: eventJson(event) };
  }
}

/** Equal only for equal ends: a dead job that was redriven and died again has another attempt. */
function idOf(job: JobView): string {
  return `${job.attempt}.${job.state}`;
}

function problemEvent(error: unknown, request: FastifyRequest): ServerSentEvent {
  const path = request.url.split("?", 1).join();
  return { event: "problem", data: problemJson(asAppError(error, request), path) };
}

function lastSequence(request: FastifyRequest): number | undefined {
  const header = request.headers["last-event-id"];
  if (header === undefined) return undefined;
  const sequence = /^\d{1,16}$/.test(String(header)) ? Number(header) : Number.NaN;
  if (Number.isSafeInteger(sequence)) return sequence;
  throw new AppError(
    "invalid_argument",
    `Last-Event-ID must be the sequence number of an event; received ${JSON.stringify(header)}`,
  );
}
