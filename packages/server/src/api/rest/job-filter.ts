/** Filters of jobs, in query strings and in bodies. */
import { type Static, Type } from "@fastify/type-provider-typebox";
import type { JobFilter } from "../../domain/views.ts";
import { parseOptionalInstant } from "./instant.ts";
import { State } from "./job-json.ts";
import { optional } from "./optional.ts";

const INSTANT = "RFC 3339 with an offset.";

/** Query parameters that filter jobs. All given conditions must hold. */
export const filterQuery = {
  state: Type.Optional(
    Type.Array(State, { description: "Any of these; repeat the parameter for several." }),
  ),
  queue: Type.Optional(Type.String()),
  task: Type.Optional(Type.String()),
  tag: Type.Optional(Type.String()),
  createdAfter: Type.Optional(Type.String({ description: INSTANT })),
  createdBefore: Type.Optional(Type.String({ description: INSTANT })),
};
const FilterQuery = Type.Object(filterQuery);

export const FilterBody = Type.Object(
  {
    states: optional(Type.Array(State, { description: "Any of these." })),
    queue: optional(Type.String()),
    task: optional(Type.String()),
    tag: optional(Type.String()),
    createdAfter: optional(Type.String({ description: INSTANT })),
    createdBefore: optional(Type.String({ description: INSTANT })),
  },
  {
    additionalProperties: false,
    description: "All given conditions must hold. An empty object matches every job.",
  },
);

/** @throws AppError invalid_argument: a time is not an instant */
export function filterOfQuery(query: Static<typeof FilterQuery>): JobFilter {
  return {
    states: query.state,
    queue: query.queue,
    task: query.task,
    tag: query.tag,
    createdAfter: parseOptionalInstant("createdAfter", query.createdAfter),
    createdBefore: parseOptionalInstant("createdBefore", query.createdBefore),
  };
}

/** @throws AppError invalid_argument: a time is not an instant */
export function filterOfBody(body: Static<typeof FilterBody>): JobFilter {
  return {
    states: body.states ?? undefined,
    queue: body.queue ?? undefined,
    task: body.task ?? undefined,
    tag: body.tag ?? undefined,
    createdAfter: parseOptionalInstant("filter.createdAfter", body.createdAfter),
    createdBefore: parseOptionalInstant("filter.createdBefore", body.createdBefore),
  };
}
