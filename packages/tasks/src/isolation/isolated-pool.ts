/**
 * Runs work on data from outside where it can do no harm: in threads for JavaScript, in processes for native code.
 * Guarantees that such work neither stops the worker's event loop (its heartbeats, and with them the leases of all its
 * jobs), nor takes longer than allowed, nor goes on after its job was cancelled; and that a crash of it is an error of
 * one job, not the end of the worker.
 *
 * A thread has a heap of its own, and running JavaScript can be ended. Native code can neither be ended nor survived in
 * a thread: libvips needs minutes for some images and does not look at its own timeout while it encodes.
 */
import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

import type { FaultCode } from "../faults.ts";
import { Places } from "../places.ts";
import type { Answer } from "./serve.ts";

export interface IsolatedPoolOptions {
  readonly kind: "thread" | "process";
  /** The module that calls `serve`. It must not import @baton/sdk, so that it starts fast and anywhere. */
  readonly module: URL;
  /** Work going on at the same time; more waits. */
  readonly countMax: number;
  /** JavaScript heap of each, in megabytes. */
  readonly heapMegabytesMax: number;
}

export interface IsolatedRunOptions {
  /** From when the work starts; waiting for a place does not count. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Isolated work that gave no result. */
export class IsolationError extends Error {
  /** `refused`: by the work itself; `crashed`: it ended without an answer. */
  readonly kind: "refused" | "failed" | "timed_out" | "crashed";
  /** Present when it was refused. */
  readonly fault: FaultCode | undefined;

  constructor(
    kind: IsolationError["kind"],
    message: string,
    options: ErrorOptions & { readonly fault?: FaultCode } = {},
  ) {
    super(message, options);
    this.name = "IsolationError";
    this.kind = kind;
    this.fault = options.fault;
  }
}

type Isolated = Worker | ChildProcess;

/** Places for one kind of work. They are started when needed; idle ones keep no process alive. */
export class IsolatedPool<Request extends object, Result> {
  readonly #options: IsolatedPoolOptions;
  readonly #idle: Isolated[] = [];
  readonly #places: Places;

  constructor(options: IsolatedPoolOptions) {
    this.#options = options;
    this.#places = new Places(options.countMax);
  }

  /**
   * Runs one piece of work.
   *
   * @throws IsolationError when there is no result
   * @throws the signal's reason when it aborts
   */
  async run(request: Request, options: IsolatedRunOptions): Promise<Result> {
    return this.#places.use(options.signal, async () => {
      const isolated = this.#idle.pop() ?? start(this.#options);
      try {
        setReferenced(isolated, true);
        const answer = await ask<Result>(isolated, request, options);
        setReferenced(isolated, false);
        this.#idle.push(isolated);
        if (answer.kind === "result") return answer.result;
        throw new IsolationError(
          answer.kind,
          answer.message,
          answer.kind === "refused" ? { fault: answer.fault } : {},
        );
      } finally {
        if (!this.#idle.includes(isolated)) await end(isolated);
      }
    });
  }
}

/** The URL of a module beside another one, as TypeScript or compiled. */
export function moduleBeside(url: string, name: string): URL {
  return new URL(`./${name}${url.endsWith(".ts") ? ".ts" : ".js"}`, url);
}

function start(options: IsolatedPoolOptions): Isolated {
  const { kind, module, heapMegabytesMax } = options;
  const isolated =
    kind === "thread"
      ? new Worker(module, {
          env: {},
          execArgv: [],
          resourceLimits: { maxOldGenerationSizeMb: heapMegabytesMax },
        })
      : fork(fileURLToPath(module), {
          env: {},
          execArgv: [`--max-old-space-size=${heapMegabytesMax}`],
          serialization: "advanced",
          stdio: ["ignore", "ignore", "ignore", "ipc"],
        });
  // Seen by whoever waits for an answer; one in between must not end the worker.
  isolated.on("error", () => {});
  return isolated;
}

async function ask<Result>(
  isolated: Isolated,
  request: object,
  { timeoutMs, signal }: IsolatedRunOptions,
): Promise<Answer<Result>> {
  const deadline = AbortSignal.timeout(timeoutMs);
  const answered = new AbortController();
  const stop = { signal: AbortSignal.any([signal, deadline, answered.signal]) };
  try {
    const answer = Promise.race([
      once(isolated, "message", stop),
      once(isolated, "exit", stop).then(([code, name]) => {
        throw new Error(`it ended with ${name ?? code}`);
      }),
    ]);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    if (isolated instanceof Worker) isolated.postMessage(request);
    else isolated.send(request);
    const messages: readonly Answer<Result>[] = await answer;
    const [message] = messages;
    assert(message !== undefined, "a message event carries one value");
    return message;
  } catch (cause) {
    signal.throwIfAborted();
    if (deadline.aborted) {
      throw new IsolationError("timed_out", `it took longer than ${timeoutMs} ms`, { cause });
    }
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new IsolationError("crashed", message, { cause });
  } finally {
    answered.abort();
  }
}

async function end(isolated: Isolated): Promise<void> {
  if (isolated instanceof Worker) {
    await isolated.terminate();
    return;
  }
  if (isolated.exitCode !== null || isolated.signalCode !== null) return;
  const exited = once(isolated, "exit");
  // It has nothing to save.
  isolated.kill("SIGKILL");
  await exited;
}

function setReferenced(isolated: Isolated, isReferenced: boolean): void {
  const handles = isolated instanceof Worker ? [isolated] : [isolated, isolated.channel];
  for (const handle of handles) {
    if (isReferenced) handle?.ref();
    else handle?.unref();
  }
}
