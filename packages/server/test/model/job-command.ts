/** One thing that may happen to jobs: done to the model and to the tables, with the answers and everything else compared. */
import fc from "fast-check";

import { present } from "../a-job.ts";
import type { JobModel, ModelJob } from "./job-model.ts";
import { QUEUES, STEP_MS, WORKERS, type Tables } from "./job-tables.ts";

export type Command = fc.AsyncCommand<JobModel, Tables>;
type Run = (model: JobModel, tables: Tables) => Promise<void>;

/** One command: the clock moves on, it happens to both, and the tables must be as the model. */
export function command(
  text: string,
  run: Run,
  isPossible: (model: JobModel) => boolean = () => true,
): Command {
  return {
    check: isPossible,
    run: async (model, tables) => {
      model.nowMs += STEP_MS;
      await tables.clock.advance(STEP_MS);
      await tables.compareAfter(model, () => run(model, tables));
    },
    toString: () => text,
  };
}

export const someQueue = fc.nat({ max: QUEUES.length - 1 });
/** Which of those that there are, once they are known. */
export const someJob = fc.nat({ max: 1_000 });
export const someWorker = fc.nat({ max: WORKERS - 1 });
export const someSeconds = fc.integer({ min: 1, max: 20 }).map((seconds) => seconds * 1_000);
export const sometimes = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });

export function pick(jobs: readonly ModelJob[], which: number): ModelJob {
  return present(jobs[which % jobs.length]);
}

/** Numbers of which only it matters how often each comes. */
export function counts(numbers: readonly number[]): readonly number[] {
  return numbers.toSorted((a, b) => a - b);
}
