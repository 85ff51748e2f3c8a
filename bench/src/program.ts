/** A process that the harness has started and gives commands to. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";

import { parseReply, type Lists, type Numbers } from "./messages.ts";

/** A process that ended although it was still needed, or that did not answer in time. */
class ProgramError extends Error {}

const STOP_MS_MAX = 20_000;

export class Program implements AsyncDisposable {
  readonly pid: number;
  /** Resolves with the first thing it says: it takes commands now. */
  readonly ready: Promise<void>;
  readonly #child: ChildProcess;
  readonly #file: string;
  readonly #waiting = new Map<number, PromiseWithResolvers<Lists>>();
  #lastId = 0;

  /**
   * @param file TypeScript file
   * @param onNotice called with what it says that is no reply
   */
  constructor(file: string, args: readonly string[], onNotice: (message: unknown) => void) {
    this.#file = file;
    this.#child = fork(file, args, {
      execArgv: ["--conditions=source"],
      // Graphile Worker's own benchmark (perfTest/run.js) sets it: no line for a job that succeeds.
      env: { ...process.env, NO_LOG_SUCCESS: "1" },
      serialization: "advanced",
      // The table stands on stdout; what peers log does not belong there.
      stdio: ["ignore", 2, 2, "ipc"],
    });
    this.pid = this.#child.pid ?? 0;
    const ready = Promise.withResolvers<void>();
    this.ready = ready.promise;
    this.#child.on("message", (message: unknown) => {
      ready.resolve();
      const reply = parseReply(message);
      if (reply === undefined) onNotice(message);
      else this.#settle(reply);
    });
    this.#child.once("exit", (code, signal) => {
      const error = new ProgramError(`${file} ended with ${code ?? signal}`);
      ready.reject(error);
      for (const waiting of this.#waiting.values()) waiting.reject(error);
      this.#waiting.clear();
    });
  }

  /** Gives a command and waits for its end. @throws ProgramError it failed, or the process ended */
  async ask(command: string, numbers: Numbers = {}): Promise<Lists> {
    if (!this.#child.connected) throw new ProgramError(`${this.#file} has ended`);
    this.#lastId += 1;
    const waiting = Promise.withResolvers<Lists>();
    this.#waiting.set(this.#lastId, waiting);
    this.#child.send({ id: this.#lastId, command, numbers });
    return waiting.promise;
  }

  /** Asks it to stop, and kills it when it does not. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.ask("stop").catch(() => undefined);
    const impatient = setTimeout(() => this.#child.kill("SIGKILL"), STOP_MS_MAX);
    await exited;
    clearTimeout(impatient);
  }

  #settle({ id, lists, error }: NonNullable<ReturnType<typeof parseReply>>): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(lists ?? new Map());
    else waiting?.reject(new ProgramError(`${this.#file}: ${error}`));
  }
}
