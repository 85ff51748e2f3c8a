/** A worker in the test's own process, for the commands that look at what it does. */
import { createWorker, task } from "@baton/sdk";
import { builtInTasks } from "@baton/tasks";

interface Cleanup {
  after(cleanup: () => unknown): void;
}

/** Logs its input's lines, one each, with a field. */
const chatty = task({
  name: "chatty",
  run({ lines }: { readonly lines: readonly string[] }, ctx) {
    for (const [index, line] of lines.entries()) ctx.log.info(line, { index });
    return lines.length;
  },
});

/** Runs until it is told to stop, or released by the test through `release.<job id>`. */
const patient = task({
  name: "patient",
  async run(_input: unknown, ctx) {
    ctx.log.info("waiting");
    ctx.progress({ percent: 50 });
    const { promise, resolve } = Promise.withResolvers<void>();
    releases.set(ctx.job.id, resolve);
    ctx.signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    ctx.signal.throwIfAborted();
    ctx.log.info("released");
    return "done";
  },
});

const releases = new Map<string, () => void>();

/** Lets a job of task `patient` end. */
export function release(jobId: string): void {
  releases.get(jobId)?.();
}

/** Starts a worker with the built-in tasks, `chatty` and `patient`; it is drained after the suite. */
export async function aCliWorker(cleanup: Cleanup, address: string): Promise<void> {
  const worker = createWorker({
    address,
    name: "test-worker",
    labels: { zone: "a" },
    tasks: [...builtInTasks(), chatty, patient],
    logger: { debug: quiet, info: quiet, warn: quiet, error: quiet },
  });
  cleanup.after(() => worker.stop());
  await worker.start();
}

function quiet(): void {
  // Troubles show in what the commands print.
}
