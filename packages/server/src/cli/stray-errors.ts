/**
 * Errors that reach nobody, because a handler left something running: a promise that it did not await, a timer, an
 * emitter without an "error" listener.
 *
 * A rejected promise ends only the async function that it belongs to, so the worker goes on and says what happened. An
 * exception has torn through whatever code was on the stack; Node's manual calls the state of the process undefined from
 * there on. So it finishes what it has and makes room for a fresh one.
 */
import { inspect } from "node:util";

import type { Logger } from "pino";

/**
 * Listens from now on.
 *
 * @param onException called for the first uncaught exception: must bring the process to its end
 * @returns stops to listen
 */
export function watchStrayErrors(logger: Logger, onException: () => void): () => void {
  let exceptionCount = 0;
  const onRejection = (reason: unknown) => {
    const message =
      "a promise was rejected and nobody handled it; probably a handler did not await it. The worker goes on";
    readably(reason, (err) => logger.error({ err }, message));
  };
  const onUncaught = (thrown: unknown) => {
    exceptionCount += 1;
    const message =
      "an exception was thrown where nobody could catch it, probably in a callback or a timer of a handler. " +
      "The state of this process is unknown, so the worker ends";
    readably(thrown, (err) => logger.fatal({ err }, message));
    if (exceptionCount === 1) onException();
  };
  process.on("unhandledRejection", onRejection);
  process.on("uncaughtException", onUncaught);
  return () => {
    process.off("unhandledRejection", onRejection);
    process.off("uncaughtException", onUncaught);
  };
}

/** Anything can be thrown, undefined too, and getters of it may throw in turn: the line is written all the same. */
function readably(thrown: unknown, write: (error: Error) => void): void {
  try {
    write(asError(thrown));
  } catch {
    write(new Error("thrown: an error that cannot be read"));
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(`thrown: ${inspect(thrown, { depth: 2 })}`);
}
