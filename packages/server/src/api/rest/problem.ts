/** Errors as RFC 9457 problem documents: one shape for everything that can go wrong with a request. */
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { Type } from "@fastify/type-provider-typebox";
import { AppError, ERRORS, type ErrorCode } from "../../errors.ts";

/** What a caller may wait before it repeats a retryable request, in seconds. */
export const RETRY_AFTER_SECONDS = 1;

export const Problem = Type.Object(
  {
    type: Type.String({ description: "Where the code is explained, relative to this server." }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: "What was expected and what was received." }),
    code: Type.String({ description: "A code of docs/errors.md. Programs decide by this." }),
    details: Type.Record(Type.String(), Type.Unknown(), {
      description: "Ids and indexes. For bulk_rejected: items of {index, code, message}.",
    }),
    instance: Type.String({ description: "The path of the request." }),
  },
  { $id: "Problem", description: "RFC 9457 problem details." },
);

/** The problem document of an error as JSON text. */
export function problemJson(error: AppError, instance: string): string {
  const title = error.code.replaceAll("_", " ");
  return JSON.stringify({
    type: `/api/v1/docs/errors#${error.code}`,
    title: title.charAt(0).toUpperCase() + title.slice(1),
    status: ERRORS[error.code].http,
    detail: error.message,
    code: error.code,
    details: error.details,
    instance,
  });
}

/** Answers a failed request. What is not the caller's or the environment's fault is logged here, once. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const appError = asAppError(error, request);
  if (ERRORS[appError.code].isRetryable) void reply.header("retry-after", RETRY_AFTER_SECONDS);
  void reply
    .code(ERRORS[appError.code].http)
    .type("application/problem+json")
    .send(problemJson(appError, pathOf(request.url)));
}

/** Answers a request that no route takes. */
export function answerRouteNotFound(request: FastifyRequest, reply: FastifyReply): void {
  const error = new AppError(
    "route_not_found",
    `expected a method and path of /api/v1/docs, received ${request.method} ${pathOf(request.url)}`,
  );
  answerError(error, request, reply);
}

/** The error itself, what it means when it is Fastify's, or `internal` after logging it. */
export function asAppError(error: unknown, request: FastifyRequest): AppError {
  if (error instanceof AppError) return error;
  const translated = isFastifyError(error) ? fromFastify(error, request) : undefined;
  if (translated !== undefined) return translated;
  // The connection was cut while the body was on its way. Nobody reads the answer.
  if (request.raw.destroyed && !request.raw.complete) {
    return invalid("expected a whole request body, received a part of it");
  }
  request.log.error({ err: error }, "request failed");
  return new AppError(
    "internal",
    `the server failed to answer; its log has the cause under request id ${request.id}`,
  );
}

function fromFastify(error: FastifyError, request: FastifyRequest): AppError | undefined {
  switch (error.code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return bodyTooLarge(request);
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new AppError(
        "unsupported_media_type",
        `expected a body with content-type application/json, received ${
          request.headers["content-type"] ?? "none"
        }`,
      );
    case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
      return invalid("expected a body of the size that content-length says, received another size");
    case "FST_ERR_BAD_URL":
      return invalid(`expected a URL with valid percent-encoding, received ${pathOf(request.url)}`);
    case "FST_ERR_MAX_PARAM_LENGTH":
      return invalid("expected a shorter name or id in the path");
    default:
      return undefined;
  }
}

function bodyTooLarge(request: FastifyRequest): AppError {
  const limit = request.routeOptions.bodyLimit;
  const announced = Number(request.headers["content-length"]);
  const received = announced > limit ? `${announced} bytes` : "more";
  return new AppError(
    "payload_too_large",
    `expected a request body of at most ${limit} bytes, received ${received}`,
    { bytesMax: limit },
  );
}

function invalid(message: string): AppError {
  return new AppError("invalid_argument" satisfies ErrorCode, message);
}

function isFastifyError(error: unknown): error is FastifyError {
  return error instanceof Error && "code" in error && typeof error.code === "string";
}

function pathOf(url: string): string {
  const end = url.indexOf("?");
  return end === -1 ? url : url.slice(0, end);
}
