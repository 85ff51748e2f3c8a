/** The other side of isolated-pool.ts: one request in, one answer out, in a thread or a process of its own. */
import { parentPort } from "node:worker_threads";

import type { FaultCode } from "../faults.ts";

export type Answer<Result> =
  | { readonly kind: "result"; readonly result: Result }
  /** The data, or what was asked of it, cannot be worked on. */
  | { readonly kind: "refused"; readonly fault: FaultCode; readonly message: string }
  | { readonly kind: "failed"; readonly message: string };

/** What the work refuses: trying again cannot help. */
export class Refused extends Error {
  readonly fault: FaultCode;

  constructor(fault: FaultCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "Refused";
    this.fault = fault;
  }
}

/** Answers every request by `handle`, one after the other as they come. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- what comes is what the pool was given
export function serve<Request>(handle: (request: Request) => unknown): void {
  if (parentPort !== null) {
    const port = parentPort;
    port.on("message", (request: Request) => {
      void answer(handle, request).then((message) => port.postMessage(message));
    });
    return;
  }
  process.on("message", (request: Request) => {
    void answer(handle, request).then((message) => process.send?.(message));
  });
  // The worker is gone, whatever became of it.
  process.on("disconnect", () => process.exit(0));
  // A terminal interrupts all processes at once; the worker still finishes what it has.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => {});
}

async function answer<Request>(
  handle: (request: Request) => unknown,
  request: Request,
): Promise<Answer<unknown>> {
  try {
    return { kind: "result", result: await handle(request) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return error instanceof Refused
      ? { kind: "refused", fault: error.fault, message }
      : { kind: "failed", message };
  }
}
