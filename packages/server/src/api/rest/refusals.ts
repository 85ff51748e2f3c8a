import type { TUnsafe } from "@fastify/type-provider-typebox";
import { Type } from "@fastify/type-provider-typebox";

const MEANINGS = {
  400: "The request is not valid.",
  404: "There is no such thing.",
  409: "The present state does not allow it.",
  413: "The body is too large.",
  415: "The body is not application/json in UTF-8, or it is compressed.",
  429: "The server is at a bound; repeat later.",
} as const;
type Refusal = keyof typeof MEANINGS;

/** The error responses of a route, for its documentation. The error handler writes them. */
export function refusals(
  ...statuses: readonly Refusal[]
): Readonly<Record<number, TUnsafe<string>>> {
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      Type.Unsafe<string>({
        description: MEANINGS[status],
        content: { "application/problem+json": { schema: { $ref: "Problem#" } } },
      }),
    ]),
  );
}
