/** Ten thousand small jobs, accepted by one call, each watched to its end. */
import type { Client } from "@baton/sdk";

import { expectEqual, type Act, type Stage } from "./act.ts";

const JOBS = 10_000;
const QUEUE = "bulk";

export const bulkAct: Act = {
  name: "bulk",
  what: `${JOBS.toLocaleString("en-US")} small jobs in one call`,
  expected: "each succeeds exactly once",
  run: async (stage) => {
    const startedAtMs = performance.now();
    const stopped = new AbortController();
    // From the very first event on, so that none is missed while the jobs are being accepted.
    const watching = untilAllSucceeded(stage, stopped.signal);
    // Its failure is awaited below, unless the submission fails before.
    watching.catch(() => undefined);
    try {
      const inputs = Array.from({ length: JOBS }, (_, index) => index);
      // Lower than the rest: the other jobs of the demo should not wait behind so many.
      const options = { queue: QUEUE, priority: -10 };
      const handles = await stage.client.enqueueMany("echo", inputs, options);
      const succeeded = await watching;
      expectEqual(
        "jobs that succeeded",
        handles.filter(({ id }) => succeeded.has(id)).length,
        JOBS,
      );
      await checkResults(
        stage.client,
        handles.map(({ id }) => id),
      );
    } finally {
      stopped.abort();
    }
    const seconds = (performance.now() - startedAtMs) / 1_000;
    const rate = Math.round(JOBS / seconds).toLocaleString("en-US");
    return `all succeeded once, ${rate} jobs/s end to end`;
  },
};

async function untilAllSucceeded(stage: Stage, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const succeeded = new Set<string>();
  const filter = { queue: QUEUE, states: ["succeeded"] } as const;
  stage.tellProgress(0, JOBS);
  for await (const { job } of stage.client.watch(filter, { afterSequence: 0, signal })) {
    if (succeeded.has(job.id)) throw new Error(`job ${job.id} succeeded twice`);
    expectEqual("the attempt", job.attempt, 1);
    succeeded.add(job.id);
    stage.tellProgress(succeeded.size, JOBS);
    if (succeeded.size === JOBS) break;
  }
  return succeeded;
}

/** The results of some: the first, the last and one in the middle. */
async function checkResults(client: Client, ids: readonly string[]): Promise<void> {
  for (const index of [0, JOBS / 2, JOBS - 1]) {
    expectEqual("a result", await client.job(ids[index] ?? "").result(), index);
  }
}
