/** From gRPC's status and trailer to {@link BatonError}. */
import { status as Rpc } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";

import { BatonError } from "./errors.ts";
import type { BatonErrorCode } from "./errors.ts";

/**
 * The error of a call. The trailer `baton-error` has the server's own code, message and details; without it the answer
 * came from the transport or a proxy.
 */
export function toBatonError(error: unknown, address: string): BatonError {
  if (error instanceof BatonError) return error;
  if (!isServiceError(error)) {
    const message = error instanceof Error ? error.message : String(error);
    return new BatonError("internal", message, { address }, { cause: error });
  }
  const told = readTrailer(error);
  if (told !== undefined) {
    return new BatonError(told.code, told.message, told.details, { cause: error });
  }
  const tooLarge = messageTooLarge(error, address);
  if (tooLarge !== undefined) return tooLarge;
  const code = CODE_OF_STATUS.get(error.code) ?? "internal";
  return new BatonError(
    code,
    transportMessage(code, error, address),
    { address },
    { cause: error },
  );
}

/** Tells whether the call surely never left this process, so that even a submission can be repeated. */
export function wasNeverSent(error: unknown): boolean {
  return (
    isServiceError(error) &&
    error.code === Rpc.UNAVAILABLE &&
    /^(?:No connection established|Name resolution failed)/.test(error.details)
  );
}

/** Tells whether the same call may succeed in a moment: the server is away, restarting or without its database. */
export function isTransient(error: unknown): boolean {
  return isServiceError(error) && error.code === Rpc.UNAVAILABLE;
}

/** Narrows what grpc-js throws. */
export function isServiceError(error: unknown): error is ServiceError {
  return (
    error instanceof Error &&
    "code" in error &&
    typeof error.code === "number" &&
    "details" in error &&
    typeof error.details === "string" &&
    "metadata" in error
  );
}

interface ToldError {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

function readTrailer(error: ServiceError): ToldError | undefined {
  const [text] = error.metadata.get("baton-error");
  if (text === undefined) return undefined;
  try {
    const told: unknown = JSON.parse(text.toString());
    if (typeof told !== "object" || told === null || !("code" in told)) return undefined;
    return {
      code: String(told.code),
      message: "message" in told ? String(told.message) : error.details,
      details:
        "details" in told && typeof told.details === "object" && told.details !== null
          ? { ...told.details }
          : {},
    };
  } catch {
    // A trailer that is not ours; the status alone must do.
    return undefined;
  }
}

/** A bound on messages is not one of the kind that is gone in a moment, though the transport has one status for both. */
function messageTooLarge(error: ServiceError, address: string): BatonError | undefined {
  const sizes = /message larger than max \((\d+) vs\.? (\d+)\)/.exec(error.details);
  if (error.code !== Rpc.RESOURCE_EXHAUSTED || sizes === null) return undefined;
  const [bytes, bytesMax] = [Number(sizes[1]), Number(sizes[2])];
  return new BatonError(
    "payload_too_large",
    `a message of ${bytes} bytes between here and ${address} is too large, at most ${bytesMax} fit`,
    { address, bytes, bytesMax },
    { cause: error },
  );
}

/** What the transport says, in our words; everything else is internal. */
const CODE_OF_STATUS: ReadonlyMap<number, BatonErrorCode> = new Map<number, BatonErrorCode>([
  [Rpc.UNAVAILABLE, "connection_failed"],
  [Rpc.DEADLINE_EXCEEDED, "deadline_exceeded"],
  [Rpc.INVALID_ARGUMENT, "invalid_argument"],
  [Rpc.RESOURCE_EXHAUSTED, "resource_exhausted"],
  [Rpc.UNIMPLEMENTED, "route_not_found"],
  [Rpc.UNAUTHENTICATED, "unauthenticated"],
  [Rpc.PERMISSION_DENIED, "permission_denied"],
]);

function transportMessage(code: BatonErrorCode, error: ServiceError, address: string): string {
  if (code === "connection_failed") return `cannot reach Baton at ${address}: ${error.details}`;
  if (code === "deadline_exceeded") {
    return `no answer from Baton at ${address} in time: ${error.details}`;
  }
  if (code === "route_not_found") {
    return `what listens at ${address} does not serve this call; is it Baton's gRPC port? ${error.details}`;
  }
  return `${Rpc[error.code]} from ${address}: ${error.details}`;
}
