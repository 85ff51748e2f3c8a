/** Cancelling and redriving, one job or many. */
import { Type } from "@fastify/type-provider-typebox";
import type { FastifyRequest } from "fastify";
import {
  FILTER_CHANGE_LIMIT_DEFAULT,
  FILTER_CHANGE_LIMIT_MAX,
  REASON_CHARACTERS_MAX,
} from "../../domain/limits.ts";
import type { HttpApp } from "./app.ts";
import { FilterBody, filterOfBody } from "./job-filter.ts";
import { JobParams } from "./jobs.ts";
import { optional } from "./optional.ts";
import { refusals } from "./refusals.ts";
import type { RouteOptions } from "./routes.ts";

export const reason = optional(
  Type.String({ description: `Shown to people, at most ${REASON_CHARACTERS_MAX} characters.` }),
);
const limit = optional(
  Type.Integer({
    description:
      `Change at most so many, 1 to ${FILTER_CHANGE_LIMIT_MAX}. ` +
      `Default: ${FILTER_CHANGE_LIMIT_DEFAULT}.`,
  }),
);
const hasMore = Type.Boolean({ description: "The filter matched more than limit: call again." });

/** For routes whose body may be left out. */
export async function acceptNoBody(request: FastifyRequest): Promise<void> {
  request.body ??= {};
}

export function jobChangeRoutes(app: HttpApp, { operations }: RouteOptions): void {
  const CancelResult = Type.Object({
    state: Type.Enum(["cancelled", "running"], { type: "string" }),
  });

  app.post(
    "/jobs/:id/cancel",
    {
      preValidation: acceptNoBody,
      schema: {
        operationId: "cancelJob",
        summary: "Cancels a job",
        description: "200 when it ended at once; 202 when it runs and its worker was told to stop.",
        tags: ["jobs"],
        params: JobParams,
        body: Type.Object({ reason }, { additionalProperties: false }),
        response: { 200: CancelResult, 202: CancelResult, ...refusals(400, 404, 409) },
      },
    },
    async (request, reply) => {
      const result = await operations.cancel(request.params.id, request.body.reason ?? undefined);
      return reply.code(result.state === "running" ? 202 : 200).send({ state: result.state });
    },
  );

  app.post(
    "/jobs/cancel",
    {
      schema: {
        operationId: "cancelJobs",
        summary: "Cancels unfinished jobs that match a filter",
        tags: ["jobs"],
        body: Type.Object({ filter: FilterBody, limit, reason }, { additionalProperties: false }),
        response: {
          200: Type.Object({
            cancelledCount: Type.Integer({ description: "Ended at once." }),
            requestedCount: Type.Integer({
              description: "Running; their workers were told to stop.",
            }),
            hasMore,
          }),
          ...refusals(400, 415),
        },
      },
    },
    async (request) => {
      const { filter, limit: countMax, reason: why } = request.body;
      const result = await operations.cancelMany(
        filterOfBody(filter),
        countMax ?? undefined,
        why ?? undefined,
      );
      const { cancelledCount, requestedCount, hasMore: isPart } = result;
      return { cancelledCount, requestedCount, hasMore: isPart };
    },
  );

  app.post(
    "/jobs/:id/redrive",
    {
      preValidation: acceptNoBody,
      schema: {
        operationId: "redriveJob",
        summary: "Puts a dead job back to its queue",
        tags: ["jobs"],
        params: JobParams,
        body: Type.Object({}, { additionalProperties: false }),
        response: {
          204: Type.Null({ description: "The job is queued again." }),
          ...refusals(400, 404, 409),
        },
      },
    },
    async (request, reply) => {
      await operations.redrive(request.params.id);
      return reply.code(204).send(null);
    },
  );

  app.post(
    "/jobs/redrive",
    {
      schema: {
        operationId: "redriveJobs",
        summary: "Puts dead jobs that match a filter back to their queues",
        tags: ["jobs"],
        body: Type.Object({ filter: FilterBody, limit }, { additionalProperties: false }),
        response: {
          200: Type.Object({ redrivenCount: Type.Integer(), hasMore }),
          ...refusals(400, 415),
        },
      },
    },
    async (request) => {
      const { filter, limit: countMax } = request.body;
      const result = await operations.redriveMany(filterOfBody(filter), countMax ?? undefined);
      return { redrivenCount: result.redrivenCount, hasMore: result.hasMore };
    },
  );
}
