/** One stream to one server: from Hello to its end. It knows the protocol's order and beat, and nothing of jobs. */
import type { ClientDuplexStream } from "@grpc/grpc-js";

import type { Connection } from "../connection.ts";
import { BatonError } from "../errors.ts";
import {
  ServerMessage,
  WorkerServiceClient,
  WorkerServiceService,
} from "../gen/baton/v1/worker.ts";
import type {
  Hello,
  LeasedJob,
  OutcomesAck,
  StopAttempt,
  Welcome,
  WorkerMessage,
} from "../gen/baton/v1/worker.ts";
import {
  CLOSE_TIMEOUT_MS,
  DRAIN_TIMEOUT_MS,
  HEALTHY_SESSION_MS,
  PINGLESS_LEASE_MS_MAX,
  SILENT_HEARTBEATS_MAX,
  WELCOME_TIMEOUT_MS,
} from "../limits.ts";
import { TextReader } from "../text-reader.ts";
import type { Clock } from "./clock.ts";

/** What a session tells its worker. Nothing comes after `onEnd`. */
export interface SessionEvents {
  readonly onWelcome: (welcome: Welcome) => void;
  /** The server has answered something that was sent at `sentAt`: the lease lasts `leaseMs` from there. */
  readonly onContact: (sentAt: number, leaseMs: number) => void;
  readonly onJobs: (jobs: readonly LeasedJob[]) => void;
  readonly onAck: (ack: OutcomesAck) => void;
  readonly onStop: (attempts: readonly StopAttempt[]) => void;
  /** Whether the worker holds nothing: no attempt, and no outcome without its acknowledgement. */
  readonly isIdle: () => boolean;
  /** There is room to write again. */
  readonly onWritable: () => void;
  /** {@link Session.isDrained} from now on. */
  readonly onDrained: () => void;
  readonly onEnd: (end: SessionEnd) => void;
}

export interface SessionEnd {
  /** Absent when the stream was closed in order. */
  readonly error: unknown;
  /** Whether it was welcomed and stood for a while: the next failure is a new one. */
  readonly wasHealthy: boolean;
}

export class Session {
  readonly #client: WorkerServiceClient;
  readonly #call: ClientDuplexStream<WorkerMessage, ServerMessage>;
  readonly #clock: Clock;
  readonly #events: SessionEvents;
  readonly #helloSentAt: number;
  #isWelcomed = false;
  #isClosing = false;
  #isEnded = false;
  #heartbeatSequence = 0;
  #heartbeatIntervalMs = 0;
  #idleHeartbeatIntervalMs = 0;
  /** When the last heartbeat, or the hello, was sent. */
  #beatAt: number;
  /** Beats only as often as a worker must that holds nothing. */
  #isResting = false;
  /** When each unanswered heartbeat was sent; at most {@link SILENT_HEARTBEATS_MAX} and one more. */
  readonly #unanswered = new Map<number, number>();
  /** Of the heartbeat that followed Drain. Out of turn, it tells nothing of the lease or of a server that is silent. */
  #drainSequence: number | undefined;
  #isDrained = false;
  #cancelTimer: () => void;
  #cancelDrainTimer = (): void => undefined;

  /** Opens the stream and says hello. A channel of its own: its back-off is the worker's, and its address is fresh. */
  constructor(connection: Connection, hello: Hello, clock: Clock, events: SessionEvents) {
    this.#clock = clock;
    this.#events = events;
    this.#client = new WorkerServiceClient(connection.address, connection.credentials, {
      ...connection.channelOptions,
      ...(hello.leaseMs <= PINGLESS_LEASE_MS_MAX && { "grpc.keepalive_time_ms": -1 }),
      "grpc.use_local_subchannel_pool": 1,
    });
    const { path, requestSerialize } = WorkerServiceService.connect;
    this.#call = this.#client.makeBidiStreamRequest(
      path,
      requestSerialize,
      readServerMessage,
      connection.metadata(),
    );
    this.#call.on("data", (message: ServerMessage) => this.#receive(message));
    this.#call.on("drain", () => this.#events.onWritable());
    this.#call.on("error", (error) => this.#end(error));
    this.#call.on("end", () => this.#end(undefined));
    this.#helloSentAt = clock.now();
    this.#beatAt = this.#helloSentAt;
    this.#call.write({ message: { $case: "hello", value: hello } });
    this.#cancelTimer = clock.after(WELCOME_TIMEOUT_MS, () => {
      this.abort(`the server did not welcome the worker within ${WELCOME_TIMEOUT_MS} ms`);
    });
  }

  /** Whether the next message would go out without piling up. */
  get isWritable(): boolean {
    return this.#isWelcomed && !this.#isClosing && !this.#isEnded && !this.#call.writableNeedDrain;
  }

  /**
   * Whether Drain was said, and all jobs have arrived that the server handed over before it read that, so that the worker can
   * tell whether it holds anything; or the server has not answered in time.
   */
  get isDrained(): boolean {
    return this.#isDrained;
  }

  /** Sends one message; nothing is sent on a stream that has ended or is being closed. */
  write(message: NonNullable<WorkerMessage["message"]>): void {
    if (!this.#isEnded && !this.#isClosing) this.#call.write({ message });
  }

  /**
   * Says that the worker wants no more jobs. The answer to the heartbeat behind it comes after every job that was on its way
   * down.
   */
  drain(): void {
    if (this.#drainSequence !== undefined || this.#isEnded || this.#isClosing) return;
    this.#heartbeatSequence += 1;
    this.#drainSequence = this.#heartbeatSequence;
    this.write({ $case: "drain", value: {} });
    this.write({ $case: "heartbeat", value: { sequence: this.#drainSequence } });
    this.#cancelDrainTimer = this.#clock.after(DRAIN_TIMEOUT_MS, () => this.#drained());
  }

  /** Closes this side; the server closes the other when it has read everything. */
  close(): void {
    if (this.#isEnded || this.#isClosing) return;
    this.#isClosing = true;
    this.#call.end();
    this.#cancelTimer();
    this.#cancelDrainTimer();
    this.#cancelTimer = this.#clock.after(CLOSE_TIMEOUT_MS, () => this.#end(undefined));
  }

  /** Gives the stream up at once. */
  abort(reason: string): void {
    this.#end(new BatonError("connection_failed", reason));
  }

  #receive({ message }: ServerMessage): void {
    if (this.#isEnded || this.#isClosing || message === undefined) return;
    if (!this.#isWelcomed && message.$case !== "welcome") {
      this.abort(`the server's first message was ${message.$case}, expected welcome`);
      return;
    }
    switch (message.$case) {
      case "welcome":
        return this.#welcome(message.value);
      case "jobs":
        this.#events.onJobs(message.value.jobs);
        return this.#stopResting();
      case "outcomesAck":
        return this.#events.onAck(message.value);
      case "stop":
        return this.#events.onStop(message.value.attempts);
      case "heartbeatAck":
        return this.#answered(message.value.sequence, message.value.leaseMs);
      case "goodbye":
        // The server ends the stream next; until then nothing changes.
        return undefined;
    }
  }

  #welcome(welcome: Welcome): void {
    if (this.#isWelcomed) return;
    this.#isWelcomed = true;
    this.#cancelTimer();
    this.#heartbeatIntervalMs = Math.max(1, welcome.heartbeatIntervalMs || welcome.leaseMs / 4);
    this.#idleHeartbeatIntervalMs = welcome.idleHeartbeatIntervalMs;
    // The lease counts from the hello, and so does the beat: a slow welcome has used up part of it.
    this.#planBeat(this.#heartbeatIntervalMs);
    this.#events.onContact(this.#helloSentAt, welcome.leaseMs);
    this.#events.onWelcome(welcome);
    this.#restWhenIdle();
  }

  /** Sets when the next heartbeat is due, counted from the last one. */
  #planBeat(intervalMs: number): void {
    this.#cancelTimer();
    const dueInMs = Math.max(0, this.#beatAt + intervalMs - this.#clock.now());
    this.#cancelTimer = this.#clock.after(dueInMs, () => this.#beat());
  }

  /** A worker that holds nothing has nothing to lose with its lease. */
  #restWhenIdle(): void {
    if (this.#isResting || this.#isEnded || this.#isClosing) return;
    if (this.#idleHeartbeatIntervalMs <= this.#heartbeatIntervalMs || !this.#events.isIdle())
      return;
    this.#isResting = true;
    this.#planBeat(this.#idleHeartbeatIntervalMs);
  }

  /** The worker was given something: if it has rested for longer than it may now, it beats at once. */
  #stopResting(): void {
    if (!this.#isResting || this.#isEnded || this.#isClosing) return;
    this.#isResting = false;
    if (this.#clock.now() - this.#beatAt >= this.#heartbeatIntervalMs) this.#sendHeartbeat();
    else this.#planBeat(this.#heartbeatIntervalMs);
  }

  #beat(): void {
    this.#isResting = false;
    if (this.#unanswered.size >= SILENT_HEARTBEATS_MAX) {
      // A handler may have blocked the process: what came in meanwhile is read before the stream is called dead.
      setImmediate(() => this.#checkSilence());
    } else {
      this.#sendHeartbeat();
    }
  }

  #checkSilence(): void {
    if (this.#isEnded || this.#isClosing) return;
    if (this.#unanswered.size >= SILENT_HEARTBEATS_MAX) {
      this.abort(`the server has left ${this.#unanswered.size} heartbeats unanswered`);
    } else {
      this.#sendHeartbeat();
    }
  }

  #sendHeartbeat(): void {
    this.#heartbeatSequence += 1;
    this.#beatAt = this.#clock.now();
    this.#unanswered.set(this.#heartbeatSequence, this.#beatAt);
    this.write({ $case: "heartbeat", value: { sequence: this.#heartbeatSequence } });
    this.#planBeat(this.#heartbeatIntervalMs);
  }

  #answered(sequence: number, leaseMs: number): void {
    if (sequence === this.#drainSequence) return this.#drained();
    const sentAt = this.#unanswered.get(sequence);
    if (sentAt === undefined) return;
    for (const earlier of this.#unanswered.keys()) {
      if (earlier <= sequence) this.#unanswered.delete(earlier);
    }
    this.#events.onContact(sentAt, leaseMs);
    if (this.#unanswered.size === 0) this.#restWhenIdle();
  }

  #drained(): void {
    this.#cancelDrainTimer();
    if (this.#isDrained || this.#isEnded) return;
    this.#isDrained = true;
    this.#events.onDrained();
  }

  #end(error: unknown): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#cancelTimer();
    this.#cancelDrainTimer();
    this.#call.cancel();
    this.#client.close();
    const stoodMs = this.#clock.now() - this.#helloSentAt;
    const wasHealthy = this.#isWelcomed && stoodMs >= HEALTHY_SESSION_MS;
    this.#events.onEnd({ error, wasHealthy });
  }
}

function readServerMessage(bytes: Buffer): ServerMessage {
  return ServerMessage.decode(new TextReader(bytes));
}
