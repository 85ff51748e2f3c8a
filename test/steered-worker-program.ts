/**
 * A worker of the SDK whose handlers do what a test tells them. Its one argument is a `SteeredWorkerInput`; it sends
 * `WorkerReport`s, and takes `HandlerOrder`s. Drains on SIGTERM; ends when the test's process is gone.
 */
import { createWorker, task, type TaskContext } from "@baton/sdk";

import { onParentExit } from "../packages/server/src/cli/parent.ts";
import type { HandlerOrder, SteeredWorkerInput, WorkerReport } from "./steered-worker.ts";

const input: SteeredWorkerInput = JSON.parse(process.argv[2] ?? "{}");
const orders = new Map<string, (order: HandlerOrder) => void>();

function report(told: WorkerReport): void {
  process.send?.(told);
}

function work(_input: unknown, ctx: TaskContext): Promise<unknown> {
  const { jobId, attempt } = ctx.fence;
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  orders.set(`${jobId}/${attempt}`, (order) => {
    if (order.kind === "progress") ctx.progress(order.value);
    if (order.kind === "log") ctx.log.info(order.message);
    if (order.kind === "return") resolve(order.value);
  });
  ctx.signal.addEventListener("abort", () => {
    const reason: unknown = ctx.signal.reason;
    report({ kind: "aborted", jobId, attempt, reason: reason instanceof Error ? reason.name : "" });
    reject(reason);
  });
  report({ kind: "started", jobId, attempt });
  return promise;
}

const worker = createWorker({
  ...input,
  tasks: input.tasks.map((name) => task({ name, cancelGraceMs: 1_000, run: work })),
  logger: {
    debug: tell,
    info: tell,
    warn: tell,
    error: tell,
  },
});

function tell(message: string, fields?: unknown): void {
  console.error(new Date().toISOString(), message, JSON.stringify(fields) ?? "");
  report({ kind: "logged", message });
}

process.on("message", (order: HandlerOrder) =>
  orders.get(`${order.jobId}/${order.attempt}`)?.(order),
);
onParentExit(() => process.exit(1));
process.on("SIGTERM", () => void worker.drain());
await worker.start();
report({ kind: "connected" });
await worker.closed;
process.disconnect();
