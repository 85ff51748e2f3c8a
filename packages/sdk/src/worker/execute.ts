/** One attempt from its lease to its settlement, as a list of steps. */
import type { StandardSchemaV1 } from "@standard-schema/spec";

import type { TaskContext } from "../context.ts";
import { toInput } from "../from-wire.ts";
import type { LeasedJob } from "../gen/baton/v1/worker.ts";
import type { Validation } from "../schema.ts";
import { stepsOf } from "../task.ts";
import type { Task, TaskSteps } from "../task.ts";

/** How the handler ended, or why it was not called. */
export type Settlement =
  | { readonly kind: "returned"; readonly value: unknown }
  | { readonly kind: "threw"; readonly error: unknown }
  | { readonly kind: "unknown_task" }
  | { readonly kind: "unreadable_input"; readonly error: unknown }
  | { readonly kind: "invalid_input"; readonly issues: readonly StandardSchemaV1.Issue[] };

/** Resolve task → read input → validate → run. Never rejects, and never answers before a turn has passed. */
export function execute(
  tasks: ReadonlyMap<string, Task>,
  job: LeasedJob,
  context: TaskContext,
): Promise<Settlement> {
  const task = tasks.get(job.task);
  if (task === undefined) return Promise.resolve({ kind: "unknown_task" });
  const input = readInput(job);
  if (input.kind !== "read") return Promise.resolve(input);
  const steps = stepsOf(task);
  try {
    const answer = steps.validate(input.value);
    if (!(answer instanceof Promise)) return handle(steps, answer, context);
    return answer.then((validation) => handle(steps, validation, context)).catch(threw);
  } catch (error) {
    return Promise.resolve(threw(error));
  }
}

// Not an async function: what it would make for each job costs more than all the rest of this file.
function handle(
  steps: TaskSteps,
  validation: Validation,
  context: TaskContext,
): Promise<Settlement> {
  if (validation.kind === "invalid") {
    return Promise.resolve({ kind: "invalid_input", issues: validation.issues });
  }
  return Promise.resolve(steps.handle(validation.value, context)).then(returned, threw);
}

function returned(value: unknown): Settlement {
  return { kind: "returned", value };
}

function threw(error: unknown): Settlement {
  return { kind: "threw", error };
}

function readInput(
  job: LeasedJob,
):
  | { readonly kind: "read"; readonly value: unknown }
  | { readonly kind: "unreadable_input"; readonly error: unknown } {
  try {
    const contentType = job.inputContentType === "" ? undefined : job.inputContentType;
    return { kind: "read", value: toInput(job.input, contentType) };
  } catch (error) {
    return { kind: "unreadable_input", error };
  }
}
