/**
 * A Baton server of which every answer is scripted: the real wire, on loopback, without an engine. For faults that a
 * real server makes only by accident.
 */
import type { TestContext } from "node:test";

import { Metadata, Server, ServerCredentials, status } from "@grpc/grpc-js";
import type {
  handleUnaryCall,
  sendUnaryData,
  ServerDuplexStream,
  ServerReadableStream,
  ServerWritableStream,
} from "@grpc/grpc-js";

import {
  JobServiceService,
  QueueServiceService,
  ServerServiceService,
  TaskServiceService,
  WorkerServiceService,
} from "../src/contract.ts";
import type {
  Hello,
  Job,
  JobServiceServer,
  LeasedJob,
  Outcome,
  Outcomes,
  QueueServiceServer,
  ServerMessage,
  ServerServiceServer,
  StopAttempt,
  SubmitManyRequest,
  SubmitStreamResponse,
  TaskServiceServer,
  WatchRequest,
  WatchResponse,
  Welcome,
  WorkerMessage,
  WorkerServiceServer,
} from "../src/contract.ts";

type MessageCase = NonNullable<WorkerMessage["message"]>["$case"];
type MessageValue<Case extends MessageCase> = Extract<
  NonNullable<WorkerMessage["message"]>,
  { $case: Case }
>["value"];

/** Scripts of the calls; what a test does not script answers UNIMPLEMENTED. */
export interface Scripts {
  readonly jobs?: Methods<JobServiceServer>;
  readonly queues?: Methods<QueueServiceServer>;
  readonly tasks?: Methods<TaskServiceServer>;
  readonly servers?: Methods<ServerServiceServer>;
  readonly workers?: Methods<WorkerServiceServer>;
}

/** Some methods of a service. */
type Methods<Service> = {
  readonly [Name in keyof Service as string extends Name ? never : Name]?: Service[Name];
};

/** One listening fake server. */
export class FakeServer {
  readonly address: string;
  readonly #server: Server;
  readonly #connections: Mailbox<FakeConnection>;

  private constructor(server: Server, address: string, connections: Mailbox<FakeConnection>) {
    this.#server = server;
    this.address = address;
    this.#connections = connections;
  }

  /** Starts on a free port, or on the port of a server that was killed. Stopped at the end of the test. */
  static async start(t: TestContext, scripts: Scripts = {}, port = 0): Promise<FakeServer> {
    const server = new Server({ "grpc.max_receive_message_length": 128 * 1024 * 1024 });
    const connections = new Mailbox<FakeConnection>();
    const connect = (stream: ServerDuplexStream<WorkerMessage, ServerMessage>) => {
      connections.put(new FakeConnection(stream));
    };
    server.addService(JobServiceService, { ...scripts.jobs });
    server.addService(QueueServiceService, { ...scripts.queues });
    server.addService(TaskServiceService, { ...scripts.tasks });
    server.addService(ServerServiceService, { ...scripts.servers });
    server.addService(WorkerServiceService, { connect, ...scripts.workers });
    const boundPort = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    t.after(() => server.forceShutdown());
    return new FakeServer(server, `127.0.0.1:${boundPort}`, connections);
  }

  get port(): number {
    return Number(this.address.split(":")[1]);
  }

  /** The next worker that connects. */
  async connection(): Promise<FakeConnection> {
    return this.#connections.take();
  }

  /** Cuts every connection and stops listening, as a killed process does. */
  kill(): void {
    this.#server.forceShutdown();
  }
}

/** A worker's stream as the server sees it. */
export class FakeConnection {
  readonly #stream: ServerDuplexStream<WorkerMessage, ServerMessage>;
  readonly #inboxes = new Map<MessageCase, Mailbox<unknown>>();
  /** Every message so far, by name, in order. */
  readonly received: MessageCase[] = [];
  /** Resolves when the worker has closed its side or cut the stream. */
  readonly ended: Promise<void>;

  constructor(stream: ServerDuplexStream<WorkerMessage, ServerMessage>) {
    this.#stream = stream;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    stream.on("data", ({ message }: WorkerMessage) => {
      if (message === undefined) return;
      this.received.push(message.$case);
      this.#inbox(message.$case).put(message.value);
    });
    stream.on("end", () => {
      resolve();
      stream.end();
    });
    stream.on("cancelled", () => resolve());
    stream.on("error", () => resolve());
  }

  /** The next message of a kind. */
  async next<Case extends MessageCase>($case: Case): Promise<MessageValue<Case>> {
    // The inbox of a case has only values of that case: the constructor sorts them in.
    return (await this.#inbox($case).take()) as MessageValue<Case>;
  }

  /** Messages of a kind that came and were not asked for. */
  waiting($case: MessageCase): number {
    return this.#inbox($case).size;
  }

  /** Outcomes from as many messages as it takes; the messages are returned unacknowledged. */
  async outcomes(count: number): Promise<{ all: Outcome[]; messages: Outcomes[] }> {
    const messages: Outcomes[] = [];
    let all: Outcome[] = [];
    while (all.length < count) {
      const message = await this.next("outcomes");
      messages.push(message);
      all = [...all, ...message.outcomes];
    }
    return { all, messages };
  }

  send(message: NonNullable<ServerMessage["message"]>): void {
    this.#stream.write({ message });
  }

  /** Waits for Hello and answers it. */
  async welcome(welcome: Partial<Welcome> = {}): Promise<Hello> {
    const hello = await this.next("hello");
    this.send({ $case: "welcome", value: { ...WELCOME, ...welcome } });
    return hello;
  }

  jobs(...jobs: LeasedJob[]): void {
    this.send({ $case: "jobs", value: { jobs } });
  }

  stop(...attempts: StopAttempt[]): void {
    this.send({ $case: "stop", value: { attempts } });
  }

  ack(sequence: number, stale: { jobId: string; attempt: number }[] = []): void {
    this.send({ $case: "outcomesAck", value: { sequence, stale } });
  }

  /** Acknowledges everything that comes from here on. @returns the outcomes as they come */
  acknowledgeAll(): Outcome[] {
    const all: Outcome[] = [];
    this.#stream.on("data", ({ message }: WorkerMessage) => {
      if (message?.$case !== "outcomes") return;
      all.push(...message.value.outcomes);
      this.ack(message.value.sequence);
    });
    return all;
  }

  /** Answers every heartbeat that comes from here on. */
  answerHeartbeats(leaseMs = WELCOME.leaseMs): void {
    this.#stream.on("data", ({ message }: WorkerMessage) => {
      if (message?.$case === "heartbeat") this.answerHeartbeat(message.value.sequence, leaseMs);
    });
  }

  answerHeartbeat(sequence: number, leaseMs = WELCOME.leaseMs): void {
    this.send({ $case: "heartbeatAck", value: { sequence, leaseMs } });
  }

  /** Ends the stream in order. */
  close(): void {
    this.#stream.end();
  }

  /** Ends the stream with a status, as a server that refuses does. */
  refuse(code: number, error: WireFault): void {
    this.#stream.emit("error", fault(code, error));
  }

  /** Stops reading, so that the worker's writes pile up. */
  pauseReading(): void {
    this.#stream.pause();
  }

  resumeReading(): void {
    this.#stream.resume();
  }

  #inbox($case: MessageCase): Mailbox<unknown> {
    const known = this.#inboxes.get($case);
    if (known !== undefined) return known;
    const inbox = new Mailbox<unknown>();
    this.#inboxes.set($case, inbox);
    return inbox;
  }
}

/** Values in order, each taken once, awaited when there is none yet. */
export class Mailbox<Value> {
  readonly #values: Value[] = [];
  readonly #takers: ((value: Value) => void)[] = [];

  get size(): number {
    return this.#values.length;
  }

  put(value: Value): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#values.push(value);
    else taker(value);
  }

  async take(): Promise<Value> {
    const [value] = this.#values.splice(0, 1);
    if (value !== undefined) return value;
    return new Promise<Value>((resolve) => this.#takers.push(resolve));
  }
}

interface WireFault {
  readonly code: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** An error as Baton answers it: a status and the trailer `baton-error`. */
export function fault(code: number, error: WireFault): Error {
  const metadata = new Metadata();
  metadata.set("baton-error", JSON.stringify({ details: {}, ...error }));
  return Object.assign(new Error(error.message), { code, details: error.message, metadata });
}

/** A unary method that answers each call with the next of these; the last one again and again. */
export function answers<Request, Response>(
  ...steps: readonly (Response | Error)[]
): handleUnaryCall<Request, Response> & { readonly requests: Request[] } {
  const requests: Request[] = [];
  const handler: handleUnaryCall<Request, Response> = (call, callback: sendUnaryData<Response>) => {
    const step = steps[Math.min(requests.length, steps.length - 1)];
    requests.push(call.request);
    if (step instanceof Error) callback(step);
    else if (step !== undefined) callback(null, step);
  };
  return Object.assign(handler, { requests });
}

/** A watch whose n-th call runs the n-th script. */
export function watches(
  ...scripts: readonly ((stream: ServerWritableStream<WatchRequest, WatchResponse>) => void)[]
): JobServiceServer["watch"] & { readonly requests: WatchRequest[] } {
  const requests: WatchRequest[] = [];
  const handler = (stream: ServerWritableStream<WatchRequest, WatchResponse>) => {
    const script = scripts[Math.min(requests.length, scripts.length - 1)];
    requests.push(stream.request);
    script?.(stream);
  };
  return Object.assign(handler, { requests });
}

/** A submit stream that hands every batch to the test and answers at the end. */
export function submitStreamOf(
  onBatch: (batch: SubmitManyRequest, index: number) => void,
  answer: (batchCount: number, jobCount: number) => SubmitStreamResponse | Error,
): JobServiceServer["submitStream"] {
  return (
    call: ServerReadableStream<SubmitManyRequest, SubmitStreamResponse>,
    callback: sendUnaryData<SubmitStreamResponse>,
  ) => {
    let batchCount = 0;
    let jobCount = 0;
    call.on("data", (batch: SubmitManyRequest) => {
      onBatch(batch, batchCount);
      batchCount += 1;
      jobCount += batch.jobs.length;
    });
    call.on("end", () => {
      const response = answer(batchCount, jobCount);
      if (response instanceof Error) callback(response);
      else callback(null, response);
    });
  };
}

export { status };

const WELCOME: Welcome = {
  server: "fake",
  leaseMs: 8_000,
  heartbeatIntervalMs: 2_000,
  idleHeartbeatIntervalMs: 0,
  stale: [],
  messageBytesMax: 64 * 1024 * 1024,
  payloadBytesMax: 1024 * 1024,
};

/** A job as it goes down to a worker. */
export function aLeasedJob(
  values: Partial<LeasedJob> & { readonly json?: unknown } = {},
): LeasedJob {
  const { json = null, ...rest } = values;
  return {
    jobId: "0197f000-0000-7000-8000-000000000001",
    attempt: 1,
    task: "echo",
    queue: "default",
    input: Buffer.from(JSON.stringify(json)),
    inputContentType: "",
    priority: 0,
    maxAttempts: 3,
    failureCount: 0,
    createdAt: new Date("2026-01-01T00:00:00Z"),
    tags: [],
    ...rest,
  };
}

/** A job as it is shown to callers. */
export function aWireJob(values: Partial<Job> = {}): Job {
  return {
    id: "0197f000-0000-7000-8000-000000000001",
    task: "echo",
    queue: "default",
    state: "queued",
    priority: 0,
    attempt: 0,
    maxAttempts: 3,
    failureCount: 0,
    input: Buffer.from("null"),
    inputContentType: "",
    result: undefined,
    error: undefined,
    tags: [],
    createdAt: new Date("2026-01-01T00:00:00Z"),
    runAt: undefined,
    startedAt: undefined,
    finishedAt: undefined,
    progress: undefined,
    cancelRequestedAt: undefined,
    cancelReason: "",
    uniqueKey: "",
    attempts: [],
    worker: "",
    ...values,
  };
}

/** The n-th id of a series of jobs. */
export function jobId(n: number): string {
  return `0197f000-0000-7000-8000-${n.toString().padStart(12, "0")}`;
}

/** Lets what is due in this turn of the event loop happen. */
export async function nextTurn(): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
}
