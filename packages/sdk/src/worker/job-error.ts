import { BatonError } from "../errors.ts";
import type { JobError } from "../gen/baton/v1/job.ts";
import {
  ERROR_CODE_CHARACTERS_MAX,
  ERROR_MESSAGE_CHARACTERS_MAX,
  ERROR_STACK_CHARACTERS_MAX,
} from "../limits.ts";
import { inspected } from "../shown.ts";
import { truncateCharacters } from "./truncate.ts";

/**
 * A thrown value as it is kept with the attempt. The code is the class's name, or the `code` of errors that carry a
 * stable one of ours. Causes follow the stack.
 */
export function toWireError(thrown: unknown, code = textOf(() => codeOf(thrown))): JobError {
  return wireError(
    code,
    messageOf(thrown),
    textOf(() => stackOf(thrown)),
  );
}

/** An error that the worker itself states. */
export function wireError(code: string, message: string, stack = ""): JobError {
  return {
    code: truncateCharacters(code, ERROR_CODE_CHARACTERS_MAX),
    message: truncateCharacters(message, ERROR_MESSAGE_CHARACTERS_MAX),
    stack: truncateCharacters(stack, ERROR_STACK_CHARACTERS_MAX),
  };
}

/** The message of anything that can be thrown. */
export function messageOf(thrown: unknown): string {
  return textOf(() =>
    thrown instanceof Error ? thrown.message : `thrown: ${inspected(thrown, { depth: 2 })}`,
  );
}

/** Getters of what was thrown may throw in turn; the outcome must be told all the same. */
function textOf(read: () => unknown): string {
  try {
    // In plain JavaScript an error's message need not be a string.
    return String(read());
  } catch {
    return "an error that cannot be read";
  }
}

function codeOf(thrown: unknown): string {
  if (thrown instanceof BatonError) return thrown.code;
  if (thrown instanceof Error) return thrown.name || "Error";
  return "Error";
}

const CAUSES_MAX = 5;

function stackOf(thrown: unknown): string {
  const parts: string[] = [];
  let error = thrown;
  while (error instanceof Error && parts.length < CAUSES_MAX) {
    parts.push(error.stack ?? `${error.name}: ${error.message}`);
    error = error.cause;
  }
  return parts.join("\ncaused by: ");
}
