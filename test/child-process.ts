/**
 * A program in a process of its own that a test kills, halts and starts again. The program says what it has to say by
 * `process.send`, and ends itself when the test's process is gone (`onParentExit`).
 */
import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";

import { Mailbox } from "./mailbox.ts";

export interface ProgramOptions {
  /** TypeScript file. */
  readonly program: string;
  readonly arguments?: readonly string[];
  /** Variables beside those that every process needs. Nothing of the test's own environment gets in. */
  readonly environment?: Readonly<Record<string, string>>;
  /** What the program writes to stdout and stderr is appended to it. */
  readonly logFile: string;
}

/** One run of a program. */
export interface RunningProgram {
  readonly pid: number;
  readonly isRunning: boolean;
  /** The next message that it sends. Fails when it ends before. */
  message(): Promise<unknown>;
  /** Sends it a message. A halted program gets it when it goes on. */
  send(message: object): void;
  /** Sends a signal: SIGSTOP and SIGCONT too. */
  signal(signal: NodeJS.Signals): void;
  /** Sends a signal and waits for the end; does nothing when it has ended. */
  end(signal: NodeJS.Signals): Promise<void>;
}

/** Starts a program. */
export function startProgram(options: ProgramOptions): RunningProgram {
  const log = openSync(options.logFile, "a");
  const child = fork(options.program, options.arguments, {
    execArgv: ["--conditions=source"],
    env: { ...basicEnvironment(), ...options.environment },
    stdio: ["ignore", log, log, "ipc"],
  });
  closeSync(log);
  const { pid } = child;
  assert(pid !== undefined, `${options.program} must start`);
  const exited = once(child, "exit");
  const messages = new Mailbox<unknown>();
  child.on("message", (message) => messages.put(message));
  void exited.then(() => messages.close(new Error("the program has ended; its log says why")));
  return {
    pid,
    get isRunning() {
      return isRunning(child);
    },
    message: () => messages.take(),
    send: (message) => void child.send(message),
    signal: (signal) => void child.kill(signal),
    end: async (signal) => {
      if (isRunning(child)) child.kill(signal);
      await exited;
    },
  };
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function basicEnvironment(): Record<string, string> {
  const names = ["PATH", "HOME", "TMPDIR", "LANG"];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
