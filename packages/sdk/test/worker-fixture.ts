/** A worker on a fake server and a clock that stands still. */
import type { TestContext } from "node:test";

import { makeWorker } from "../src/worker/stream-worker.ts";
import type { WorkerOptions } from "../src/worker/options.ts";
import type { Worker } from "../src/worker/worker.ts";
import { task } from "../src/task.ts";
import type { TaskContext } from "../src/context.ts";
import { FakeServer, Mailbox } from "./fake-server.ts";
import { ManualClock } from "./manual-clock.ts";

export interface WorkerFixture {
  readonly server: FakeServer;
  readonly clock: ManualClock;
  readonly worker: Worker;
  /** What the worker has logged about itself. */
  readonly log: Mailbox<string>;
  /** Waits until contact is lost and lets the next connection begin. */
  readonly reconnect: () => Promise<void>;
}

/** Not started yet; stopped at the end of the test. */
export async function aWorker(
  t: TestContext,
  options: Omit<WorkerOptions, "address" | "logger">,
): Promise<WorkerFixture> {
  const server = await FakeServer.start(t);
  const clock = new ManualClock();
  const log = new Mailbox<string>();
  const write = (message: string) => log.put(message);
  const logger = { debug: write, info: write, warn: write, error: write };
  const worker = makeWorker(
    { ...options, address: server.address, logger },
    { clock, random: () => 0 },
  );
  t.after(async () => {
    const closed = worker.stop();
    // Handlers, then the last acknowledgements, then the server's end of the stream.
    for (const stepMs of [500, 500, 2_000]) clock.advance(stepMs);
    await closed;
  });
  const reconnect = async () => {
    for (;;) {
      if ((await log.take()).endsWith("; reconnecting")) break;
    }
    clock.advance(0);
  };
  return { server, clock, worker, log, reconnect };
}

/** A handler whose runs the test ends by hand. */
export class ManualTask {
  /** Runs that have started, in order. */
  readonly runs = new Mailbox<ManualRun>();
  startedCount = 0;
  readonly task;

  constructor(name = "manual") {
    this.task = task({
      name,
      run: (input: unknown, ctx: TaskContext) => {
        this.startedCount += 1;
        const { promise, resolve, reject } = Promise.withResolvers<unknown>();
        this.runs.put({ input, ctx, resolve, reject });
        return promise;
      },
    });
  }
}

export interface ManualRun {
  readonly input: unknown;
  readonly ctx: TaskContext;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}
