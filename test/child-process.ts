/**
 * A program in a process of its own that a test kills, halts and starts again. The program says what it has to say by
 * `process.send`, and ends itself when the test's process is gone (`onParentExit`).
 */
import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";

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
  const messages = messagesOf(child, exited);
  return {
    pid,
    get isRunning() {
      return isRunning(child);
    },
    message: () => messages.next(),
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

/** Keeps messages until they are asked for. */
function messagesOf(
  child: ChildProcess,
  exited: Promise<unknown>,
): { readonly next: () => Promise<unknown> } {
  const waiting: unknown[] = [];
  const asked: ((message: unknown) => void)[] = [];
  child.on("message", (message) => {
    const ask = asked.shift();
    if (ask === undefined) waiting.push(message);
    else ask(message);
  });
  return {
    next: async () => {
      if (waiting.length > 0) return waiting.shift();
      const { promise, resolve } = Promise.withResolvers<unknown>();
      asked.push(resolve);
      const ended = exited.then(() => ENDED);
      const message = await Promise.race([promise, ended]);
      assert(message !== ENDED, "the program ended without a message; its log says why");
      return message;
    },
  };
}

const ENDED = Symbol("ended");
