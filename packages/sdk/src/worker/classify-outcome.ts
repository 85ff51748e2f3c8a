/** Decides what a settlement means for the job. */
import { controlOf } from "../control-errors.ts";
import type { JobError } from "../gen/baton/v1/job.ts";
import { jsonFault } from "../json-fault.ts";
import { invalidInput } from "../schema.ts";
import type { StopReason } from "./attempt.ts";
import type { Settlement } from "./execute.ts";
import { messageOf, toWireError, wireError } from "./job-error.ts";

/** How an attempt ended, before it knows whose it is. Kinds are those of the wire. */
export type Ending =
  | { readonly kind: "succeeded"; readonly result: Buffer | undefined }
  | { readonly kind: "retry"; readonly error: JobError; readonly delayMs?: number }
  | { readonly kind: "failed"; readonly error: JobError }
  | { readonly kind: "snoozed"; readonly delayMs: number }
  | { readonly kind: "cancelled" | "timed_out" | "lost"; readonly error: JobError };

/** What the decision depends on beside the settlement. */
export interface EndingFacts {
  readonly task: string;
  readonly knownTasks: readonly string[];
  /** Set when the attempt had been told to stop. */
  readonly stopReason: StopReason | undefined;
  /** Largest result that the server takes. */
  readonly resultBytesMax: number;
}

/**
 * The ending of an attempt. A handler that returns has succeeded, even after it was told to stop: the work is done. One
 * that throws after it was told to stop has stopped.
 */
export function classifyOutcome(settlement: Settlement, facts: EndingFacts): Ending {
  switch (settlement.kind) {
    case "returned":
      return encodeResult(settlement.value, facts);
    case "threw":
      return facts.stopReason === undefined
        ? classifyError(settlement.error)
        : endingOfStop(facts.stopReason, messageOf(settlement.error));
    case "unknown_task":
      return {
        kind: "failed",
        error: wireError(
          "task_not_found",
          `this worker has no task "${facts.task}"; it has ${facts.knownTasks.join(", ")}`,
        ),
      };
    case "unreadable_input":
      return { kind: "failed", error: toWireError(settlement.error, "invalid_input") };
    case "invalid_input": {
      const error = invalidInput(facts.task, settlement.issues);
      return { kind: "failed", error: wireError("invalid_input", error.message) };
    }
  }
}

/** The ending of an attempt that was told to stop and did, or was abandoned. */
export function endingOfStop(reason: StopReason, message: string): Ending {
  switch (reason) {
    case "cancelled":
      return { kind: "cancelled", error: wireError("cancelled", message) };
    case "timed_out":
    case "heartbeat_timed_out":
    case "deadline_exceeded":
      return { kind: "timed_out", error: wireError(reason, message) };
    case "worker_stopped":
    case "lease_lost":
      return { kind: "lost", error: wireError(reason, message) };
  }
}

function classifyError(error: unknown): Ending {
  const control = controlOf(error);
  if (control === undefined) return { kind: "retry", error: toWireError(error) };
  switch (control.kind) {
    case "fatal":
      return { kind: "failed", error: toWireError(error, control.code) };
    case "retry_after":
      return { kind: "retry", error: toWireError(error), delayMs: control.delayMs };
    case "snooze":
      return { kind: "snoozed", delayMs: control.delayMs };
    case "cancelled":
      return { kind: "cancelled", error: toWireError(error, "cancelled") };
  }
}

function encodeResult(value: unknown, facts: EndingFacts): Ending {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    // The next attempt would return the same: there is no use in trying again.
    return {
      kind: "failed",
      error: wireError("invalid_result", `result is not JSON: ${jsonFault(error)}`),
    };
  }
  if (text === undefined) return { kind: "succeeded", result: undefined };
  const result = Buffer.from(text);
  if (result.length <= facts.resultBytesMax) return { kind: "succeeded", result };
  return {
    kind: "failed",
    error: wireError(
      "payload_too_large",
      `result is ${result.length} bytes of JSON, the server takes ${facts.resultBytesMax}; ` +
        "store large results elsewhere and return where",
    ),
  };
}
