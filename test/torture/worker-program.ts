/**
 * A worker of the SDK that writes down what its handlers do. Its one argument is a `WorkerProgramInput`. Sends a message
 * when it is connected; drains on SIGTERM; ends when the test's process is gone.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { createWorker, task, type TaskContext } from "@baton/sdk";

import { onParentExit } from "../../packages/server/src/cli/parent.ts";
import { JournalWriter } from "./journal.ts";
import { LOAD_TASK, type LoadInput } from "./load-job.ts";
import type { WorkerProgramInput } from "./worker-process.ts";

const input: WorkerProgramInput = JSON.parse(process.argv[2] ?? "{}");
const journal = new JournalWriter(input.journals);

async function work(job: LoadInput, ctx: TaskContext): Promise<number> {
  const { jobId, attempt } = ctx.fence;
  journal.write("started", jobId, attempt);
  try {
    if (job.durationMs > 0) await sleep(job.durationMs, undefined, { signal: ctx.signal });
  } catch (error) {
    journal.write("aborted", jobId, attempt);
    throw error;
  }
  if (job.isFailingOnce && ctx.job.failureCount === 0) {
    journal.write("threw", jobId, attempt);
    throw new Error("The first time always fails.");
  }
  journal.write("returned", jobId, attempt);
  return job.number;
}

const worker = createWorker({
  address: input.address,
  name: input.name,
  slots: input.slots,
  ...(input.leaseMs !== undefined && { leaseMs: input.leaseMs }),
  tasks: [
    task({
      name: LOAD_TASK,
      retry: { strategy: "fixed", baseMs: 200, jitter: "none" },
      run: work,
    }),
  ],
  logger: {
    debug: (message, fields) => tell("debug", message, fields),
    info: (message, fields) => tell("info", message, fields),
    warn: (message, fields) => tell("warn", message, fields),
    error: (message, fields) => tell("error", message, fields),
  },
});

function tell(level: string, message: string, fields: unknown): void {
  if (message === "connected") journal.write("connected");
  if (message.endsWith("; reconnecting")) journal.write("disconnected");
  if (message.startsWith("the lease is over")) journal.write("lease_lost");
  console.error(new Date().toISOString(), level, message, JSON.stringify(fields) ?? "");
}

onParentExit(() => process.exit(1));
process.on("SIGTERM", () => void worker.drain());
await worker.start();
process.send?.("connected");
await worker.closed;
process.disconnect();
