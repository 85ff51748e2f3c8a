/**
 * A worker's own tasks. Run them with
 *
 *     npm run baton -- worker --tasks ./examples/hello-task/my-tasks.ts
 *     npm run baton -- submit hello '{"name":"Ada"}' --wait
 *
 * Every export that task() returned is a task of the worker. Types are stripped, not compiled: no enum, no namespace.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { Fatal, task } from "@baton/sdk";
import { z } from "zod";

/** Greets somebody. The schema checks the input, and gives `input` its type. */
export const hello = task({
  name: "hello",
  description: "Greets somebody.",
  input: z.object({
    name: z.string().min(1),
    times: z.int().min(1).max(10).default(1),
  }),
  run(input, ctx) {
    ctx.log.info("greeting", { name: input.name });
    return {
      greeting: Array.from({ length: input.times }, () => `Hello, ${input.name}!`).join(" "),
    };
  },
});

/** Counts down: shows progress, and stops when its job is cancelled. */
export const countdown = task({
  name: "countdown",
  description: "Counts down to zero, once a second.",
  input: z.object({ from: z.int() }),
  maxAttempts: 5,
  retry: { strategy: "fixed", baseMs: 1_000 },
  async run({ from }, ctx) {
    // What can never succeed is not tried again.
    if (from < 1) throw new Fatal(`Expected a number to count down from; received ${from}.`);
    for (let left = from; left > 0; left -= 1) {
      ctx.progress({ left });
      await sleep(1_000, undefined, { signal: ctx.signal });
    }
    return { counted: from };
  },
});
