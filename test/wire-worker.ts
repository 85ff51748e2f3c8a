/**
 * A worker that a test steers message by message: the bare wire, without the SDK's good manners. It fences nothing,
 * believes nothing, and lies when told to.
 */
import { randomUUID } from "node:crypto";

import { credentials, type ClientDuplexStream, type ServiceError } from "@grpc/grpc-js";

import {
  type AttemptRef,
  type Hello,
  type LeasedJob,
  type OutcomesAck,
  type ServerMessage,
  WorkerServiceClient,
  type Outcome,
  type WorkerMessage,
} from "@baton/sdk/contract";

import { Mailbox } from "./mailbox.ts";
import type { Stage } from "./stage.ts";
import { within } from "./until.ts";

type Up = NonNullable<WorkerMessage["message"]>;
type Down = NonNullable<ServerMessage["message"]>;
type DownValue<Case extends Down["$case"]> = Extract<Down, { $case: Case }>["value"];

/** A worker's opening words; a test says what is different. */
export function aHello(different: Partial<Hello> = {}): Hello {
  return {
    workerId: randomUUID(),
    name: "wire",
    tasks: [aTask("wire")],
    queues: [],
    slots: 1,
    prefetch: 0,
    labels: {},
    host: "localhost",
    pid: process.pid,
    sdk: "test/1",
    leaseMs: LEASE_MS,
    held: [],
    ...different,
  };
}

/** The shortest lease that a server grants, in milliseconds. */
export const LEASE_MS = 2_000;

export function aTask(name: string): Hello["tasks"][number] {
  return {
    name,
    description: "",
    maxAttempts: undefined,
    retry: undefined,
    attemptTimeoutMs: undefined,
    queueTimeoutMs: undefined,
    deadlineMs: undefined,
    heartbeatTimeoutMs: undefined,
    cancelGraceMs: undefined,
    inputSchema: Buffer.alloc(0),
    updatedAt: undefined,
  };
}

/** A message that does not come within so long does not come at all. */
const MESSAGE_MS_MAX = 15_000;

/** How a stream ended. */
export interface StreamEnd {
  /** gRPC's status: 0 when the server ended it in order. */
  readonly status: number;
  readonly message: string;
}

/** One stream of a worker. */
export class WireWorker {
  /** Resolves when the server has ended the stream, or the stream broke. */
  readonly ended: Promise<StreamEnd>;
  readonly #client: WorkerServiceClient;
  readonly #call: ClientDuplexStream<WorkerMessage, ServerMessage>;
  readonly #inboxes = new Map<Down["$case"], Mailbox<unknown>>();
  #sequence = 0;
  #heartbeats: NodeJS.Timeout | undefined;
  #end: Error | undefined;

  /** Opens a stream and says nothing yet. It is cut after the test. */
  constructor(stage: Stage, address: string) {
    this.#client = new WorkerServiceClient(address, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
    });
    this.#call = this.#client.connect();
    const ended = Promise.withResolvers<StreamEnd>();
    this.ended = ended.promise;
    this.#call.on("data", ({ message }: ServerMessage) => {
      if (message !== undefined) this.#inbox(message.$case).put(message.value);
    });
    this.#call.on("error", (error: ServiceError) =>
      ended.resolve({ status: error.code, message: error.details }),
    );
    this.#call.on("end", () => ended.resolve({ status: 0, message: "" }));
    void this.ended.then((end) => {
      this.#end = new Error(`the stream ended with status ${end.status} ${end.message}`);
      clearInterval(this.#heartbeats);
      for (const inbox of this.#inboxes.values()) inbox.close(this.#end);
    });
    stage.after(() => this.cut());
  }

  /** Opens a stream, says hello and waits for the welcome. */
  static async connect(
    stage: Stage,
    address: string,
    hello: Partial<Hello> = {},
  ): Promise<WireWorker & { readonly welcome: DownValue<"welcome">; readonly hello: Hello }> {
    const worker = new WireWorker(stage, address);
    const said = aHello(hello);
    worker.send({ $case: "hello", value: said });
    const welcome = await worker.next("welcome");
    return Object.assign(worker, { welcome, hello: said });
  }

  send(message: Up): void {
    this.#call.write({ message });
  }

  /** Says that it lives, from now on, often enough. */
  keepAlive(): void {
    this.#heartbeats = setInterval(() => this.heartbeat(), LEASE_MS / 4);
  }

  heartbeat(): void {
    this.#sequence += 1;
    this.send({ $case: "heartbeat", value: { sequence: this.#sequence } });
  }

  /** The next message of a kind. Fails when the stream ends before, and after {@link MESSAGE_MS_MAX}. */
  async next<Case extends Down["$case"]>($case: Case): Promise<DownValue<Case>> {
    const value = await within(MESSAGE_MS_MAX, `message ${$case}`, this.#inbox($case).take());
    // The inbox of a case has only values of that case: the constructor sorts them in.
    return value as DownValue<Case>;
  }

  /** The next job; they must come one in a message, as they do for one free slot. */
  async job(): Promise<LeasedJob> {
    const { jobs } = await this.next("jobs");
    const [job] = jobs;
    if (job === undefined || jobs.length > 1)
      throw new Error(`expected one job, got ${jobs.length}`);
    return job;
  }

  /** Reports outcomes and waits for the answer. */
  async report(...outcomes: (AttemptRef & Partial<Outcome>)[]): Promise<OutcomesAck> {
    this.send({
      $case: "outcomes",
      value: {
        sequence: 1,
        outcomes: outcomes.map((outcome) => ({
          kind: "succeeded",
          result: undefined,
          error: undefined,
          delayMs: undefined,
          durationMs: 1,
          ...outcome,
        })),
      },
    });
    return this.next("outcomesAck");
  }

  /** Closes this side in order. */
  close(): void {
    clearInterval(this.#heartbeats);
    this.#call.end();
  }

  /** Cuts the stream and its connection. */
  cut(): void {
    clearInterval(this.#heartbeats);
    this.#call.cancel();
    this.#client.close();
  }

  #inbox($case: Down["$case"]): Mailbox<unknown> {
    const inbox = this.#inboxes.get($case) ?? new Mailbox<unknown>();
    if (this.#end !== undefined) inbox.close(this.#end);
    this.#inboxes.set($case, inbox);
    return inbox;
  }
}
