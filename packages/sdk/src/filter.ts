import { checkMessage } from "./check-message.ts";
import { BatonError } from "./errors.ts";
import type { JobFilter as WireJobFilter } from "./gen/baton/v1/job.ts";
import { shown } from "./shown.ts";
import type { JobFilter } from "./views.ts";

const FIELDS = ["states", "queue", "task", "tag", "createdAfter", "createdBefore"];

/**
 * A filter as a message. A misspelt condition must not widen a cancel or a redrive, so unknown ones are refused.
 *
 * @throws BatonError invalid_argument
 */
export function toWireFilter(filter: JobFilter): WireJobFilter {
  if (typeof filter !== "object" || filter === null) {
    throw new BatonError("invalid_argument", `a filter must be an object, got ${shown(filter)}`);
  }
  for (const field of Object.keys(filter)) {
    if (!FIELDS.includes(field)) {
      throw new BatonError(
        "invalid_argument",
        `a filter has no field "${field}"; it has ${FIELDS.join(", ")}`,
        { field },
      );
    }
  }
  checkMessage(filter, "filter.");
  return {
    states: [...(filter.states ?? [])],
    queue: filter.queue ?? "",
    task: filter.task ?? "",
    tag: filter.tag ?? "",
    createdAfter: filter.createdAfter,
    createdBefore: filter.createdBefore,
  };
}
