import { setTimeout as sleep } from "node:timers/promises";

import { task } from "@baton/sdk";
import { z } from "zod";

import { fatal } from "./faults.ts";

const DURATION_MS_MAX = 60 * 60 * 1_000;
/** The longest sleep ends before its attempt does. */
const OVERHEAD_MS = 60_000;
const DURATION_MS_DEFAULT = 30_000;
/** A failing job is dead after at most as many attempts. */
const FAIL_TIMES_MAX = 1_000;
/** Progress is reported so many times in a run. */
const PROGRESS_STEPS = 20;
const PROGRESS_STEP_MS_MIN = 100;

const settings = z.strictObject({
  durationMs: z
    .int()
    .min(0)
    .max(DURATION_MS_MAX)
    .default(DURATION_MS_DEFAULT)
    .describe("How long to sleep, in milliseconds, at most one hour."),
  failTimes: z
    .int()
    .min(0)
    .max(FAIL_TIMES_MAX)
    .default(0)
    .describe("So many attempts fail, after their sleep, before one succeeds; 1000 fails always."),
  dies: z
    .boolean()
    .default(false)
    .describe("Fails for good after the sleep: the job is dead without another attempt."),
});
// A payload that is no JSON is what clients of other schedulers send to a sleep; it sleeps for the default.
const input = z.preprocess((value) => (Buffer.isBuffer(value) ? {} : value), settings);

/** Sleeps, and fails when told to. For trying out and testing everything around it. */
export function testSleepTask() {
  return task({
    name: "test_sleep",
    description: "Sleeps, and fails when told to.",
    attemptTimeoutMs: DURATION_MS_MAX + OVERHEAD_MS,
    input,
    async run({ durationMs, failTimes, dies }, ctx) {
      const startedAtMs = performance.now();
      for (;;) {
        const sleptMs = performance.now() - startedAtMs;
        if (sleptMs >= durationMs) break;
        const stepMs = Math.max(durationMs / PROGRESS_STEPS, PROGRESS_STEP_MS_MIN);
        await sleep(Math.ceil(Math.min(stepMs, durationMs - sleptMs)), undefined, {
          signal: ctx.signal,
        }).catch((error: unknown) => {
          // The sleep's own AbortError says less than the reason: cancelled, timed out, lease lost …
          ctx.signal.throwIfAborted();
          throw error;
        });
        if (durationMs >= PROGRESS_STEPS * PROGRESS_STEP_MS_MIN) {
          ctx.progress({
            percent: Math.min(
              100,
              Math.round((100 * (performance.now() - startedAtMs)) / durationMs),
            ),
          });
        }
      }
      const { attempt } = ctx.job;
      if (dies) throw fatal("told_to_fail", "It was told to die.");
      if (attempt <= failTimes) {
        throw new Error(`Attempt ${attempt} was told to fail, as the first ${failTimes} are.`);
      }
      return { sleptMs: Math.round(performance.now() - startedAtMs), attempt };
    },
  });
}
