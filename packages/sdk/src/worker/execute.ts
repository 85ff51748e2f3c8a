/** One attempt from its lease to its settlement, as a list of steps. */
import type { StandardSchemaV1 } from "@standard-schema/spec";

import type { TaskContext } from "../context.ts";
import { toInput } from "../from-wire.ts";
import type { LeasedJob } from "../gen/baton/v1/worker.ts";
import { stepsOf } from "../task.ts";
import type { Task } from "../task.ts";

/** How the handler ended, or why it was not called. */
export type Settlement =
  | { readonly kind: "returned"; readonly value: unknown }
  | { readonly kind: "threw"; readonly error: unknown }
  | { readonly kind: "unknown_task" }
  | { readonly kind: "unreadable_input"; readonly error: unknown }
  | { readonly kind: "invalid_input"; readonly issues: readonly StandardSchemaV1.Issue[] };

/** Resolve task → read input → validate → run. Never rejects. */
export async function execute(
  tasks: ReadonlyMap<string, Task>,
  job: LeasedJob,
  context: TaskContext,
): Promise<Settlement> {
  const task = tasks.get(job.task);
  if (task === undefined) return { kind: "unknown_task" };
  const input = readInput(job);
  if (input.kind !== "read") return input;
  const steps = stepsOf(task);
  try {
    const answer = steps.validate(input.value);
    const validation = answer instanceof Promise ? await answer : answer;
    if (validation.kind === "invalid") return { kind: "invalid_input", issues: validation.issues };
    return { kind: "returned", value: await steps.handle(validation.value, context) };
  } catch (error) {
    return { kind: "threw", error };
  }
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
