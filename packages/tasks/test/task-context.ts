import type { TaskContext } from "@baton/sdk";

/** What a handler is given in a test, and what it did with it. */
export interface TestContext {
  readonly ctx: TaskContext;
  /** Every progress value, in order. */
  readonly progress: readonly unknown[];
  /** Resolves at the first progress or heartbeat: the handler is in the middle of its work. */
  readonly underWay: Promise<void>;
}

export interface TestContextOptions {
  readonly signal?: AbortSignal;
  /** @default 1 */
  readonly attempt?: number;
}

export function testContext(options: TestContextOptions = {}): TestContext {
  const { signal = new AbortController().signal, attempt = 1 } = options;
  const progress: unknown[] = [];
  const underWay = Promise.withResolvers<void>();
  const id = "01936d5e-0000-7000-8000-000000000001";
  const log = () => {};
  return {
    progress,
    underWay: underWay.promise,
    ctx: {
      job: {
        id,
        attempt,
        task: "task",
        queue: "default",
        tags: [],
        createdAt: new Date(0),
        maxAttempts: 3,
        failureCount: attempt - 1,
        priority: 0,
      },
      fence: { jobId: id, attempt },
      signal,
      progress: (value) => {
        progress.push(value);
        underWay.resolve();
      },
      heartbeat: () => underWay.resolve(),
      log: { debug: log, info: log, warn: log, error: log },
    },
  };
}
