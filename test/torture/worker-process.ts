/** A worker of the SDK in a process of its own, that a test kills, halts and starts again. */
import path from "node:path";

import { startProgram, type RunningProgram } from "../child-process.ts";
import { logFile, tellLogOnFailure } from "../log-tail.ts";
import type { Stage } from "../stage.ts";

/** What worker-program.ts is told. */
export interface WorkerProgramInput {
  readonly address: string;
  readonly name: string;
  readonly slots: number;
  /** Absent: the SDK's default. */
  readonly leaseMs?: number;
  /** Directory of the journals. */
  readonly journals: string;
}

export interface WorkerProcess {
  readonly name: string;
  readonly pid: number;
  readonly isRunning: boolean;
  /** Resolves when the present run was welcomed by a server. */
  connected(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  end(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again, as another process. */
  start(): void;
}

/** Starts a worker. After the test it is killed. */
export async function aWorker(stage: Stage, input: WorkerProgramInput): Promise<WorkerProcess> {
  const log = await logFile(input.journals, `${input.name}.log`);
  const run = (): RunningProgram =>
    startProgram({
      program: path.join(import.meta.dirname, "worker-program.ts"),
      arguments: [JSON.stringify(input)],
      logFile: log,
    });
  let program = run();
  stage.after(async () => {
    await program.end("SIGKILL");
    await tellLogOnFailure(stage, log);
  });
  return {
    name: input.name,
    get pid() {
      return program.pid;
    },
    get isRunning() {
      return program.isRunning;
    },
    connected: async () => {
      await program.message();
    },
    signal: (signal) => program.signal(signal),
    end: (signal) => program.end(signal),
    start: () => {
      program = run();
    },
  };
}
