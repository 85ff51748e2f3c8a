/** One request, one answer, with a deadline, and with repetition where repeating is safe. */
import { setTimeout as sleep } from "node:timers/promises";

import type { CallOptions, ClientUnaryCall, Metadata, ServiceError } from "@grpc/grpc-js";

import type { Connection } from "./connection.ts";
import { BatonError } from "./errors.ts";
import type { OpenCalls } from "./open-calls.ts";
import { isTransient, toBatonError, wasNeverSent } from "./rpc-error.ts";

/** Whom to call. */
export interface CallTarget {
  readonly connection: Connection;
  readonly calls: OpenCalls;
}

/** A method of a generated client. */
export type UnaryMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

export interface UnaryOptions {
  /** From the first try to the last answer. */
  readonly timeoutMs: number;
  /** A server that cannot be reached at all is tried for so long. */
  readonly connectTimeoutMs: number;
  /**
   * safe: doing it twice is doing it once, so a lost answer is asked for again. once: repeated only when the call
   * surely did not leave this process.
   */
  readonly repeat: "safe" | "once";
}

/**
 * Calls until an answer, an error that repeating cannot mend, or the deadline.
 *
 * @throws BatonError with the server's code, or connection_failed, deadline_exceeded
 */
export async function callUnary<Request, Response>(
  target: CallTarget,
  method: UnaryMethod<Request, Response>,
  request: Request,
  options: UnaryOptions,
): Promise<Response> {
  const startedAt = performance.now();
  for (let failures = 1; ; failures += 1) {
    const elapsedMs = performance.now() - startedAt;
    target.calls.checkOpen();
    try {
      return await callOnce(target, method, request, options.timeoutMs - elapsedMs);
    } catch (error) {
      target.calls.checkOpen();
      const delayMs = repeatDelayMs(failures, Math.random());
      const untilMs = performance.now() - startedAt + delayMs;
      if (!mayRepeat(error, untilMs, options)) throw explain(error, target.connection, options);
      await sleep(delayMs);
    }
  }
}

function callOnce<Request, Response>(
  target: CallTarget,
  method: UnaryMethod<Request, Response>,
  request: Request,
  timeoutMs: number,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + Math.max(1, Math.ceil(timeoutMs));
    const metadata = target.connection.metadata();
    const call = method(request, metadata, { deadline }, (error, response) => {
      untrack();
      if (error === null) resolve(response);
      else reject(error);
    });
    const untrack = target.calls.track(call);
  });
}

/** Full jitter between 0 and 100 ms, doubling to 1 s. */
function repeatDelayMs(failures: number, random: number): number {
  return Math.min(1_000, 100 * 2 ** (failures - 1)) * random;
}

function mayRepeat(error: unknown, untilMs: number, options: UnaryOptions): boolean {
  if (wasNeverSent(error)) return untilMs < Math.min(options.connectTimeoutMs, options.timeoutMs);
  return options.repeat === "safe" && isTransient(error) && untilMs < options.timeoutMs;
}

function explain(error: unknown, connection: Connection, options: UnaryOptions): BatonError {
  const told = toBatonError(error, connection.address);
  const isUncertain =
    options.repeat === "once" && UNCERTAIN_CODES.has(told.code) && !wasNeverSent(error);
  if (!isUncertain) return told;
  return new BatonError(
    told.code,
    `${told.message}; the server may have carried the call out all the same`,
    { ...told.details, mayHaveHappened: true },
    { cause: told.cause },
  );
}

/** After these nobody but the server knows whether the call was carried out. */
const UNCERTAIN_CODES: ReadonlySet<string> = new Set([
  "connection_failed",
  "deadline_exceeded",
  "unavailable",
]);
