/**
 * Runs one command. Guarantees that nothing of it is left when this returns or throws: the command and what it has
 * started share a process group of their own, which gets SIGTERM, then SIGKILL. (A descendant that makes itself a group
 * of its own has left; only a container could hold it.)
 */
import { spawn, type ChildProcess, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

import { fatal } from "../faults.ts";
import { untilAborted } from "../until-aborted.ts";

export interface ProcessRequest {
  readonly command: string;
  readonly args: readonly string[];
  readonly stdin: string;
  readonly env: Readonly<Record<string, string>>;
  /** Absent: an empty folder, removed afterwards. */
  readonly cwd: string | undefined;
  /** Of stdout and of stderr. */
  readonly outputBytesMax: number;
  readonly timeoutMs: number;
  /** From SIGTERM to SIGKILL. */
  readonly killAfterMs: number;
  readonly signal: AbortSignal;
  readonly onOutput: () => void;
}

export interface ProcessOutcome {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  /** The name of that signal, or null. */
  readonly endedBy: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutIsTruncated: boolean;
  readonly stderrIsTruncated: boolean;
  readonly durationMs: number;
}

/** A descendant may hold the output open after the command has ended; it is not waited for longer than this. */
const OUTPUT_GRACE_MS = 500;
/** A process that the kernel holds does not end at SIGKILL; the job is not held by it. */
const KILL_GRACE_MS = 2_000;
/** Windows has no process groups. */
const HAS_GROUPS = process.platform !== "win32";
const SPAWN_FAULTS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such command on this worker",
  EACCES: "the worker may not execute it",
  E2BIG: "its arguments and environment are too long",
  ENOEXEC: "it is no program of this machine",
};

/**
 * @throws Fatal when the command cannot be started
 * @throws Error when it takes too long
 * @throws the signal's reason when it aborts
 */
export async function runProcess(request: ProcessRequest): Promise<ProcessOutcome> {
  request.signal.throwIfAborted();
  if (request.cwd !== undefined) return runIn(request.cwd, request);
  const cwd = await mkdtemp(join(tmpdir(), "baton-shell-"));
  try {
    return await runIn(cwd, request);
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
}

async function runIn(cwd: string, request: ProcessRequest): Promise<ProcessOutcome> {
  const startedAtMs = performance.now();
  const child = spawn(request.command, request.args, {
    cwd,
    env: request.env,
    stdio: ["pipe", "pipe", "pipe"],
    detached: HAS_GROUPS,
    windowsHide: true,
  });
  await once(child, "spawn").catch(refuseToStart(request.command));
  const stdout = collect(child.stdout, request);
  const stderr = collect(child.stderr, request);
  // A command that ends without reading its input breaks the pipe.
  child.stdin.on("error", () => {}).end(request.stdin);
  const deadline = AbortSignal.timeout(request.timeoutMs);
  const stop = AbortSignal.any([request.signal, deadline]);
  const hasEndedByItself = await untilEnded(child, stop, request.killAfterMs);
  request.signal.throwIfAborted();
  if (!hasEndedByItself) {
    throw new Error(`"${request.command}" took longer than ${request.timeoutMs} ms and was ended.`);
  }
  return {
    exitCode: child.exitCode,
    endedBy: child.signalCode,
    stdout: stdout.text(),
    stderr: stderr.text(),
    stdoutIsTruncated: stdout.isTruncated(),
    stderrIsTruncated: stderr.isTruncated(),
    durationMs: Math.round(performance.now() - startedAtMs),
  };
}

/** Waits for the end of the command, or brings it about when `stop` aborts. Then nothing of its group is left. */
async function untilEnded(
  child: ChildProcessWithoutNullStreams,
  stop: AbortSignal,
  killAfterMs: number,
): Promise<boolean> {
  const exited = once(child, "exit");
  const closed = once(child, "close");
  const hasEndedByItself = await untilAborted(exited, stop).then(
    () => true,
    () => false,
  );
  if (!hasEndedByItself) {
    signalGroup(child, "SIGTERM");
    await within(killAfterMs, exited);
  }
  signalGroup(child, "SIGKILL");
  await within(KILL_GRACE_MS, exited);
  await within(OUTPUT_GRACE_MS, closed);
  child.stdout.destroy();
  child.stderr.destroy();
  return hasEndedByItself;
}

async function within(limitMs: number, event: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  const limit = sleep(limitMs, undefined, { signal: timer.signal }).catch(() => {});
  await Promise.race([event, limit]);
  timer.abort();
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    if (HAS_GROUPS) process.kill(-child.pid, signal);
    else child.kill(signal);
  } catch (error) {
    // Nobody of the group is left: that is what was wanted.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** Reads a stream to its end, so that the command never blocks, and keeps its start. */
function collect(stream: Readable, { outputBytesMax, onOutput }: ProcessRequest) {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    const room = outputBytesMax - bytes;
    if (room > 0) chunks.push(chunk.subarray(0, room));
    bytes += chunk.length;
    onOutput();
  });
  stream.on("error", () => {});
  return {
    text: () => Buffer.concat(chunks).toString("utf8"),
    isTruncated: () => bytes > outputBytesMax,
  };
}

function refuseToStart(command: string): (error: unknown) => never {
  return (error) => {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const fault = SPAWN_FAULTS[code];
    // Too many processes or open files: that may pass.
    if (fault === undefined) throw error;
    throw fatal("command_unusable", `${JSON.stringify(command)} cannot be started: ${fault}.`, {
      cause: error,
    });
  };
}
