/**
 * A worker process: takes jobs from a server, runs their handlers, reports how they ended.
 *
 * What it guarantees:
 * - An outcome is kept until the server has acknowledged it, and presented again on every new stream.
 * - No attempt is worked on past the worker's lease: without contact for so long, all handlers are aborted.
 * - No attempt is started without a lease: one that reaches a worker which has rested waits for the next answer.
 * - A job that arrives again while it is held is not run again.
 * - Whatever a handler does after its attempt is over changes nothing.
 * - Everything that waits is bounded; at a bound no further job is started.
 */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";

import { status as Rpc } from "@grpc/grpc-js";

import { BatonError } from "../errors.ts";
import type {
  Hello,
  LeasedJob,
  OutcomesAck,
  Welcome,
  WorkerMessage,
} from "../gen/baton/v1/worker.ts";
import { toWireTaskDefinition } from "../job-spec.ts";
import { RESULT_BYTES_MAX_DEFAULT, STOP_GRACE_MS } from "../limits.ts";
import { isServiceError, toBatonError } from "../rpc-error.ts";
import { SDK } from "../version.ts";
import { Attempts } from "./attempts.ts";
import type { Clock } from "./clock.ts";
import { Lease } from "./lease.ts";
import { LogBuffer } from "./log-buffer.ts";
import { resolveWorkerOptions } from "./options.ts";
import type { WorkerOptions, WorkerSettings } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { ProgressBuffer } from "./progress-buffer.ts";
import { reconnectDelayMs } from "./reconnect-delay.ts";
import { runUntilSignal } from "./run-until-signal.ts";
import { Session } from "./session.ts";
import type { SessionEnd } from "./session.ts";
import type { Worker, WorkerState } from "./worker.ts";

/** What a worker depends on beside its options. */
export interface WorkerEnvironment {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** {@link createWorker} with time and chance as parameters. @internal */
export function makeWorker(options: WorkerOptions, environment: WorkerEnvironment): Worker {
  return new StreamWorker(resolveWorkerOptions(options), environment);
}

type Phase = "idle" | "running" | "draining" | "stopping" | "stopped";

class StreamWorker implements Worker {
  readonly #settings: WorkerSettings;
  readonly #environment: WorkerEnvironment;
  readonly #id = randomUUID();
  readonly #outbox = new Outbox();
  readonly #logs = new LogBuffer();
  readonly #progress = new ProgressBuffer();
  readonly #lease = new Lease();
  readonly #attempts: Attempts;
  readonly #started = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  #phase: Phase = "idle";
  #session: Session | undefined;
  #isWelcomed = false;
  #wasEverWelcomed = false;
  #failures = 0;
  #contactAt = 0;
  #isFlushPlanned = false;
  #cancelReconnect: (() => void) | undefined;
  #cancelLeaseTimer: (() => void) | undefined;
  #cancelProgressTimer: (() => void) | undefined;
  #cancelStopTimer: (() => void) | undefined;

  constructor(settings: WorkerSettings, environment: WorkerEnvironment) {
    this.#settings = settings;
    this.#environment = environment;
    this.#attempts = new Attempts({
      settings,
      clock: environment.clock,
      outbox: this.#outbox,
      sink: {
        progress: (attempt, value) => {
          if (attempt.phase !== "running") return;
          this.#progress.set(attempt, value);
          this.#planFlush();
        },
        log: (attempt, level, message, fields) => {
          if (attempt.phase !== "running") return;
          this.#logs.add(attempt, level, message, fields);
          this.#planFlush();
        },
      },
      hasLease: () => !this.#lease.isOver(environment.clock.now()),
      onChange: () => this.#planFlush(),
    });
    // Whoever called start() gets its rejection; nobody need have.
    this.#started.promise.catch(() => undefined);
  }

  get state(): WorkerState {
    if (this.#phase === "stopping") return "draining";
    if (this.#phase !== "running") return this.#phase;
    if (this.#isWelcomed) return "active";
    return this.#wasEverWelcomed ? "detached" : "connecting";
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  start(): Promise<void> {
    if (this.#phase !== "idle") {
      const message = `a worker starts once; this one is ${this.state}`;
      return Promise.reject(new BatonError("invalid_argument", message));
    }
    this.#phase = "running";
    this.#contactAt = this.#environment.clock.now();
    this.#connect();
    return this.#started.promise;
  }

  drain(): Promise<void> {
    if (this.#phase === "idle") this.#finish();
    if (this.#phase === "running") {
      this.#phase = "draining";
      this.#wantNoMore();
    }
    return this.closed;
  }

  stop(): Promise<void> {
    if (this.#phase === "idle") this.#finish();
    if (this.#phase === "running" || this.#phase === "draining") {
      this.#phase = "stopping";
      this.#wantNoMore();
      this.#attempts.stopAll();
      const { clock } = this.#environment;
      this.#cancelStopTimer = clock.after(STOP_GRACE_MS, () => {
        this.#attempts.giveUpAll();
        this.#planFlush();
        this.#cancelStopTimer = clock.after(STOP_GRACE_MS, () => this.#finish());
      });
    }
    return this.closed;
  }

  run(): Promise<void> {
    return runUntilSignal(this);
  }

  #wantNoMore(): void {
    this.#attempts.giveBack();
    if (this.#isWelcomed) this.#session?.drain();
    this.#planFlush();
  }

  #connect(): void {
    this.#cancelReconnect = undefined;
    this.#outbox.restart();
    this.#session = new Session(this.#settings.connection, this.#hello(), this.#environment.clock, {
      onWelcome: (welcome) => this.#onWelcome(welcome),
      onContact: (sentAt, leaseMs) => this.#onContact(sentAt, leaseMs),
      onJobs: (jobs) => this.#onJobs(jobs),
      isIdle: () => this.#attempts.isIdle,
      onAck: (ack) => this.#onAck(ack),
      onStop: (stops) => this.#attempts.stop(stops),
      onWritable: () => this.#planFlush(),
      onDrained: () => this.#checkDone(),
      onEnd: (end) => this.#onEnd(end),
    });
  }

  #hello(): Hello {
    const settings = this.#settings;
    return {
      workerId: this.#id,
      name: settings.name,
      tasks: [...settings.tasks.values()].map(toWireTaskDefinition),
      queues: [...settings.queues],
      slots: settings.slots,
      prefetch: settings.prefetch,
      labels: { ...settings.labels },
      host: hostname().slice(0, 128),
      pid: process.pid,
      sdk: SDK,
      leaseMs: settings.leaseMs,
      held: this.#attempts.heldRefs(),
    };
  }

  #onWelcome(welcome: Welcome): void {
    this.#isWelcomed = true;
    this.#wasEverWelcomed = true;
    this.#attempts.setResultBytesMax(welcome.payloadBytesMax || RESULT_BYTES_MAX_DEFAULT);
    this.#attempts.abandon(welcome.stale);
    this.#outbox.discard(welcome.stale);
    this.#settings.logger.info("connected", { server: welcome.server });
    if (this.#phase !== "running") this.#session?.drain();
    this.#started.resolve();
    this.#attempts.pump();
    this.#planFlush();
  }

  #onContact(sentAt: number, leaseMs: number): void {
    this.#contactAt = this.#environment.clock.now();
    this.#lease.renew(sentAt, leaseMs);
    this.#guardLease();
    // What a new server calls stale must not start: that is known only after its welcome.
    if (this.#isWelcomed) this.#attempts.pump();
  }

  #onJobs(jobs: readonly LeasedJob[]): void {
    this.#attempts.accept(jobs);
    this.#guardLease();
  }

  #onAck(ack: OutcomesAck): void {
    const outcomes = this.#outbox.acknowledge(ack.sequence);
    this.#attempts.acknowledge(outcomes, ack.stale);
    if (this.#outbox.hasWaiting) this.#planFlush();
    this.#checkDone();
  }

  #onEnd({ error, wasHealthy }: SessionEnd): void {
    this.#session = undefined;
    this.#isWelcomed = false;
    if (this.#phase === "stopped") return this.#close();
    this.#failures = wasHealthy ? 1 : this.#failures + 1;
    if (!this.#wasEverWelcomed && isRefusal(error)) return this.#refuse(error);
    const { clock, random } = this.#environment;
    const outageMs = clock.now() - this.#contactAt;
    const delayMs = reconnectDelayMs(this.#failures, outageMs, random());
    this.#tellOutage(error, delayMs);
    this.#cancelReconnect = clock.after(delayMs, () => this.#connect());
    this.#checkDone();
  }

  #tellOutage(error: unknown, delayMs: number): void {
    const told =
      error === undefined ? undefined : toBatonError(error, this.#settings.connection.address);
    const message = told === undefined ? "the server closed the stream" : told.message;
    const fields = { failures: this.#failures, delayMs: Math.round(delayMs) };
    const { logger, onError } = this.#settings;
    if (told === undefined) logger.info(`${message}; reconnecting`, fields);
    else if (this.#failures % OUTAGE_TOLD_EVERY === 1)
      logger.warn(`${message}; reconnecting`, fields);
    else logger.debug(`${message}; reconnecting`, fields);
    if (told !== undefined && this.#failures === 1) onError(told, undefined);
  }

  /** The server says that it will never take this worker: no use in asking again. */
  #refuse(error: unknown): void {
    this.#started.reject(toBatonError(error, this.#settings.connection.address));
    this.#finish();
  }

  /** Sees to it that the end of the lease is noticed. A worker that holds nothing has nothing to lose by it. */
  #guardLease(): void {
    if (this.#cancelLeaseTimer !== undefined || this.#phase === "stopped") return;
    if (!this.#attempts.isIdle) this.#watchLease();
  }

  #watchLease(): void {
    const { clock } = this.#environment;
    this.#cancelLeaseTimer = clock.after(this.#lease.remainingMs(clock.now()), () => {
      this.#cancelLeaseTimer = undefined;
      if (this.#lease.isOver(clock.now())) this.#loseLease();
      else this.#watchLease();
    });
  }

  /**
   * Gives everything up that runs, and asks a server anew what is this worker's. When nothing runs there is nothing to
   * fear: what waits does not start before there is a lease again.
   */
  #loseLease(): void {
    if (this.#attempts.runningCount > 0) {
      const lostCount = this.#attempts.fence();
      const message = "the lease is over: all handlers were aborted and given up";
      this.#settings.logger.error(message, { lostCount, leaseMs: this.#settings.leaseMs });
      this.#session?.abort("the lease is over");
    }
    this.#checkDone();
  }

  /** What was written in one turn of the event loop goes out together: batches form by themselves, without timers. */
  #planFlush(): void {
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    setImmediate(() => {
      this.#isFlushPlanned = false;
      this.#flush();
      this.#checkDone();
    });
  }

  #flush(): void {
    const now = this.#environment.clock.now();
    // After a stop of the whole process the timer may be late; nothing must be reported in between.
    if (this.#wasEverWelcomed && this.#attempts.runningCount > 0 && this.#lease.isOver(now)) {
      return this.#loseLease();
    }
    while (this.#session?.isWritable === true) {
      const message = this.#nextMessage(now);
      if (message === undefined) break;
      this.#session.write(message);
    }
    this.#planProgress(now);
  }

  /** What an attempt said comes before how it ended. */
  #nextMessage(now: number): NonNullable<WorkerMessage["message"]> | undefined {
    const logs = this.#logs.take();
    if (logs !== undefined) return { $case: "logs", value: logs };
    if (this.#outbox.hasWaiting || this.#progress.dueAt <= now) {
      const progress = this.#progress.take(now);
      if (progress !== undefined) return { $case: "progress", value: progress };
    }
    const outcomes = this.#outbox.take();
    return outcomes === undefined ? undefined : { $case: "outcomes", value: outcomes };
  }

  #planProgress(now: number): void {
    if (!this.#progress.hasWaiting || this.#cancelProgressTimer !== undefined) return;
    const delayMs = Math.max(0, this.#progress.dueAt - now);
    if (delayMs === 0) return;
    this.#cancelProgressTimer = this.#environment.clock.after(delayMs, () => {
      this.#cancelProgressTimer = undefined;
      this.#planFlush();
    });
  }

  /**
   * Ends a worker that drains as soon as nothing is on its way to it and everything is told, or nobody would listen any more.
   */
  #checkDone(): void {
    if (this.#phase !== "draining" && this.#phase !== "stopping") return;
    if (this.#attempts.isBusy) return;
    if (this.#isWelcomed && this.#session?.isDrained === false) return;
    const isOutOfContact = !this.#isWelcomed && this.#lease.isOver(this.#environment.clock.now());
    if (this.#outbox.count > 0 && !isOutOfContact) return;
    this.#finish();
  }

  #finish(): void {
    if (this.#phase === "stopped") return;
    this.#phase = "stopped";
    if (this.#outbox.count > 0) {
      const message = "stopped with outcomes that no server has acknowledged";
      this.#settings.logger.warn(message, { outcomeCount: this.#outbox.count });
    }
    const message = "the worker was stopped before it was connected";
    this.#started.reject(new BatonError("connection_failed", message));
    this.#cancelReconnect?.();
    this.#cancelLeaseTimer?.();
    this.#cancelProgressTimer?.();
    this.#cancelStopTimer?.();
    if (this.#session === undefined) this.#close();
    else if (this.#isWelcomed) this.#session.close();
    else this.#session.abort("the worker was stopped");
  }

  #close(): void {
    this.#closed.resolve();
  }
}

/** Failures in a row of which one is told as a warning. */
const OUTAGE_TOLD_EVERY = 10;

/** Answers that another try would get again. */
function isRefusal(error: unknown): boolean {
  return (
    isServiceError(error) &&
    (error.code === Rpc.INVALID_ARGUMENT ||
      error.code === Rpc.FAILED_PRECONDITION ||
      error.code === Rpc.UNIMPLEMENTED ||
      error.code === Rpc.UNAUTHENTICATED ||
      error.code === Rpc.PERMISSION_DENIED)
  );
}
