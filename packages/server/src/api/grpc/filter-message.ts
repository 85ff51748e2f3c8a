/** From JobFilter messages to the domain's filters. */
import type { JobFilter as JobFilterMessage } from "@baton/sdk/contract";
import { cutText } from "../../domain/cut-text.ts";
import { isJobState, JOB_STATES } from "../../domain/job.ts";
import type { JobFilter } from "../../domain/views.ts";
import { AppError } from "../../errors.ts";
import { presentText } from "./present.ts";

/** Either one job or all that match. */
export type Target =
  | { readonly kind: "job"; readonly jobId: string }
  | { readonly kind: "filter"; readonly filter: JobFilter };

/** @throws AppError invalid_argument for an unknown state or an instant that is none */
export function jobFilterFromMessage(message: JobFilterMessage): JobFilter {
  const unknown = message.states.find((state) => !isJobState(state));
  if (unknown !== undefined) {
    throw new AppError(
      "invalid_argument",
      `filter.states may hold ${JOB_STATES.join(", ")}; received ${JSON.stringify(cutText(unknown, 80))}`,
      { field: "filter.states" },
    );
  }
  return {
    states: message.states.length === 0 ? undefined : message.states.filter(isJobState),
    queue: presentText(message.queue),
    task: presentText(message.task),
    tag: presentText(message.tag),
    createdAfter: instant("filter.createdAfter", message.createdAfter),
    createdBefore: instant("filter.createdBefore", message.createdBefore),
  };
}

/**
 * What a request is about. An empty filter means every job and must be there: a request that names nothing is refused,
 * since it is more often a mistake than a wish for all.
 *
 * @throws AppError invalid_argument
 */
export function targetFromMessage(message: {
  readonly jobId: string;
  readonly filter: JobFilterMessage | undefined;
}): Target {
  const { jobId, filter } = message;
  if (jobId !== "" && filter === undefined) return { kind: "job", jobId };
  if (jobId === "" && filter !== undefined) {
    return { kind: "filter", filter: jobFilterFromMessage(filter) };
  }
  throw new AppError(
    "invalid_argument",
    `Expected either job_id or filter; received ${jobId === "" ? "neither" : "both"}.`,
  );
}

function instant(field: string, value: Date | undefined): Date | undefined {
  // Beyond ±8.64e15 ms a Date is invalid and would reach the database as such.
  if (value === undefined || !Number.isNaN(value.getTime())) return value;
  throw new AppError(
    "invalid_argument",
    `${field} must be an instant between the years -271820 and 275760; received seconds beyond them.`,
    { field },
  );
}
