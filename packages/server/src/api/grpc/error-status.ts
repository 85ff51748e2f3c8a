/** From errors to what the caller gets: a gRPC status, a message for people, and the trailer `baton-error`. */
import { randomUUID } from "node:crypto";
import { Metadata, status as Rpc } from "@grpc/grpc-js";
import { AppError, ERRORS } from "../../errors.ts";
import { asciiJson, boundDetails, boundMessage } from "./error-bounds.ts";

/** Where unexpected errors go, once each. A pino logger fits. */
export interface Logger {
  error(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** What grpc-js sends at the end of a failed call. */
export interface ErrorStatus {
  readonly code: Rpc;
  readonly details: string;
  readonly metadata: Metadata;
}

/** Name of the trailer that carries the error as JSON: `{code, message, details, isRetryable}`. */
const ERROR_TRAILER = "baton-error";

/**
 * Bytes of the trailer's value. With the message, names and the rest the trailers stay below 8,192 bytes, which is what
 * gRPC in C, Java and Python takes by default.
 */
export const ERROR_TRAILER_BYTES_MAX = 5_500;
/** Bytes of the message as it is sent, percent-encoded. */
const MESSAGE_BYTES_MAX = 1_500;

/**
 * Turns any error into a status. Errors that are not the caller's or the environment's fault are logged here, with an
 * id that the caller gets instead of their text.
 */
export function errorStatus(error: unknown, path: string, logger: Logger): ErrorStatus {
  const shown = publicError(error, path, logger);
  const { rpc, isRetryable } = ERRORS[shown.code];
  const message = boundMessage(shown.message, MESSAGE_BYTES_MAX);
  const { code } = shown;
  const details = boundDetails(
    shown.details,
    ERROR_TRAILER_BYTES_MAX - asciiJson({ code, message, details: {}, isRetryable }).length,
  );
  const metadata = new Metadata();
  metadata.set(ERROR_TRAILER, asciiJson({ code, message, details, isRetryable }));
  return { code: rpc, details: message, metadata };
}

/** The error as the caller may see it: an AppError that is not about this server's inside, else `internal`. */
export function publicError(error: unknown, path: string, logger: Logger): AppError {
  if (error instanceof AppError && ERRORS[error.code].rpc !== Rpc.INTERNAL) return error;
  const errorId = randomUUID();
  logger.error({ err: error, method: path, errorId }, "gRPC call failed unexpectedly");
  return new AppError(
    "internal",
    `The server failed unexpectedly. Its log tells more under the error id ${errorId}.`,
    { errorId },
  );
}
