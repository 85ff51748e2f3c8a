/** A worker as a child process that is started again whenever it dies. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

import { EXIT } from "./exit-codes.ts";
import { endsWithin } from "./lifetime.ts";

export interface SupervisedWorkerOptions {
  /** The file of the `baton` command. */
  readonly program: string;
  /** Of `baton`, for example `["worker", "--slots", "4"]`. */
  readonly arguments: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** File descriptor for what it prints. @default this process's own standard output and error */
  readonly output?: number | undefined;
  /** Called with the worker's process id each time that a server has taken it. */
  readonly onReady: (pid: number) => void;
  /** Called when it died and will be started again. */
  readonly onDied: (how: string, restartMs: number) => void;
}

export interface SupervisedWorker {
  /** Resolves with how the worker ended when starting it again would be of no use. */
  readonly failed: Promise<string>;
  /** Lets the worker finish its jobs, for so long. @returns whether it did */
  stop(drainMs: number): Promise<boolean>;
  /** Ends it at once. */
  kill(): void;
}

/** Pauses before the first, second … restart in a row; the last one repeats. */
const RESTART_PAUSES_MS = [100, 500, 2_000, 5_000] as const;
/** A worker that ran for so long had started well. */
const STABLE_MS = 30_000;
/** A worker that was told twice to stop needs this long to say goodbye. */
const GOODBYE_MS = 3_000;

/** Starts the worker and keeps it running until `stop` or `kill`. */
export function superviseWorker(options: SupervisedWorkerOptions): SupervisedWorker {
  const stopping = new AbortController();
  const failed = Promise.withResolvers<string>();
  let child: ChildProcess | undefined;

  const supervision = (async () => {
    for (let failures = 0; ; failures += 1) {
      const startedAtMs = performance.now();
      child = startWorker(options);
      const how = await endOf(child);
      if (stopping.signal.aborted) return;
      if (child.exitCode === EXIT.usage) return failed.resolve(how);
      if (performance.now() - startedAtMs > STABLE_MS) failures = 0;
      const pauseMs = RESTART_PAUSES_MS[Math.min(failures, RESTART_PAUSES_MS.length - 1)] ?? 0;
      options.onDied(how, pauseMs);
      await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (stopping.signal.aborted) return;
    }
  })();

  return {
    failed: failed.promise,
    stop: async (drainMs) => {
      stopping.abort();
      child?.kill("SIGTERM");
      if (await endsWithin(drainMs, supervision)) return true;
      child?.kill("SIGTERM");
      if (!(await endsWithin(GOODBYE_MS, supervision))) child?.kill("SIGKILL");
      await supervision;
      return false;
    },
    kill: () => {
      stopping.abort();
      child?.kill("SIGKILL");
    },
  };
}

/** In a session of its own, so that Ctrl-C reaches the parent only, which then stops it in the right order. */
function startWorker(options: SupervisedWorkerOptions): ChildProcess {
  const output = options.output ?? "inherit";
  const child = fork(options.program, [...options.arguments], {
    env: options.environment,
    detached: true,
    stdio: ["ignore", output, output, "ipc"],
  });
  child.on("message", () => {
    if (child.pid !== undefined) options.onReady(child.pid);
  });
  return child;
}

async function endOf(child: ChildProcess): Promise<string> {
  await once(child, "exit");
  return child.signalCode === null
    ? `with exit code ${child.exitCode ?? "unknown"}`
    : `by ${child.signalCode}`;
}
