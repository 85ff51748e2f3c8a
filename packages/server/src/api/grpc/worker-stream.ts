/**
 * WorkerService.Connect: one stream for each worker. Translates messages and keeps their order; docs/protocol.md is the
 * specification. Decides nothing.
 */
import type { ServerDuplexStream } from "@grpc/grpc-js";
import type {
  LeasedJob as LeasedJobMessage,
  ServerMessage,
  WorkerMessage,
} from "@baton/sdk/contract";
import type { WorkerConnection } from "../../dispatch/worker-connection.ts";
import type { WorkerDoor } from "../../dispatch/worker-door.ts";
import type { JobDelivery, WorkerSink } from "../../dispatch/worker-session.ts";
import {
  BATCH_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  WORKER_UNREAD_BYTES_MAX,
} from "../../domain/limits.ts";
import { AppError } from "../../errors.ts";
import type { Decoded } from "./decode.ts";
import { errorStatus, type Logger } from "./error-status.ts";
import { messageOf } from "./methods.ts";
import {
  helloFromMessage,
  logLineFromMessage,
  outcomeFromMessage,
  progressFromMessage,
} from "./worker-message.ts";
import type { WorkerConnect } from "./workers.ts";

export interface WorkerStreamOptions {
  readonly workerDoor: WorkerDoor;
  /** Told to workers in their welcome. */
  readonly serverName: string;
  readonly payloadBytesMax: number;
  readonly logger: Logger;
}

type WorkerCall = ServerDuplexStream<Decoded<WorkerMessage>, ServerMessage>;
type Messages = AsyncIterator<Decoded<WorkerMessage>>;

const PATH = "/baton.v1.WorkerService/Connect";

/** Outcome messages of one worker that may wait for the database; then its stream is not read until some are done. */
const OUTCOME_MESSAGES_MAX = 64;
/** A worker says hello at once. */
const HELLO_MS_MAX = 10_000;

/** Makes the handler of worker streams. */
export function workerStream(options: WorkerStreamOptions): WorkerConnect {
  return (call) => {
    serve(call, options)
      .then(() => call.end())
      .catch((error: unknown) => {
        if (call.cancelled || call.destroyed) return;
        call.emit("error", errorStatus(error, PATH, options.logger));
      });
  };
}

async function serve(call: WorkerCall, options: WorkerStreamOptions): Promise<void> {
  const messages = call[Symbol.asyncIterator]();
  const hello = await firstMessage(messages);
  if (hello === undefined) return;
  let connection: WorkerConnection | undefined = undefined;
  connection = await options.workerDoor.connect(
    helloFromMessage(hello),
    sinkOf(call, () => connection?.relieved()),
    ({ leaseMs, heartbeatIntervalMs, stale }) =>
      send(call, {
        $case: "welcome",
        value: {
          server: options.serverName,
          leaseMs,
          heartbeatIntervalMs,
          stale: [...stale],
          messageBytesMax: MESSAGE_BYTES_MAX,
          payloadBytesMax: options.payloadBytesMax,
        },
      }),
  );
  let inOrder = false;
  try {
    await follow(call, messages, connection, options);
    inOrder = !call.cancelled;
  } finally {
    await connection.closed(inOrder);
  }
}

async function firstMessage(
  messages: Messages,
): Promise<Extract<WorkerMessage["message"], { $case: "hello" }>["value"] | undefined> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(violation(`expected hello within ${HELLO_MS_MAX} ms`)),
    HELLO_MS_MAX,
  );
  const next = messages.next();
  // When it is late, the stream is ended, and with it this.
  next.catch(() => undefined);
  const first = await Promise.race([next, late.promise]).finally(() => clearTimeout(timer));
  if (first.done === true) return undefined;
  const { message } = messageOf(first.value, PATH);
  if (message?.$case !== "hello") {
    throw violation(
      `expected hello as the first message; received ${message?.$case ?? "an unknown one"}`,
    );
  }
  return message.value;
}

async function follow(
  call: WorkerCall,
  messages: Messages,
  connection: WorkerConnection,
  { payloadBytesMax }: WorkerStreamOptions,
): Promise<void> {
  const waiting = new Set<Promise<void>>();
  const failures: unknown[] = [];
  for (;;) {
    const next = await messages.next();
    if (next.done === true || failures.length > 0) break;
    const { message } = messageOf(next.value, PATH);
    switch (message?.$case) {
      case "outcomes": {
        const { sequence, outcomes } = message.value;
        const booked = connection
          .outcomes(outcomes.map((outcome) => outcomeFromMessage(outcome, payloadBytesMax)))
          .then((stale) =>
            send(call, { $case: "outcomesAck", value: { sequence, stale: [...stale] } }),
          )
          .catch((error: unknown) => {
            failures.push(error);
            call.destroy();
          })
          .finally(() => waiting.delete(booked));
        waiting.add(booked);
        if (waiting.size >= OUTCOME_MESSAGES_MAX) await Promise.race(waiting);
        break;
      }
      case "progress":
        connection.progress(message.value.reports.map(progressFromMessage));
        break;
      case "logs":
        await connection.logs(message.value.entries.map(logLineFromMessage));
        break;
      case "heartbeat": {
        const { sequence } = message.value;
        send(call, {
          $case: "heartbeatAck",
          value: { sequence, leaseMs: connection.heartbeat() },
        });
        break;
      }
      case "drain":
        connection.drain();
        break;
      case "hello":
        throw violation("received a second hello on one stream");
      case undefined:
        throw violation("received a message of an unknown kind");
    }
  }
  await Promise.all(waiting);
  if (failures.length > 0) throw new AggregateError(failures, "outcomes could not be booked");
}

/** @param onRelief called when it was full and is not any more */
function sinkOf(call: WorkerCall, onRelief: () => void): WorkerSink {
  let unreadBytes = 0;
  const isFull = (): boolean => unreadBytes > WORKER_UNREAD_BYTES_MAX;
  const wasRead = (bytes: number): void => {
    const wasFull = isFull();
    unreadBytes -= bytes;
    if (wasFull && !isFull()) onRelief();
  };
  return {
    get isFull() {
      return isFull();
    },
    jobs: (jobs) => {
      for (const { messages, bytes } of partsOf(jobs)) {
        unreadBytes += bytes;
        send(call, { $case: "jobs", value: { jobs: messages } }, () => wasRead(bytes));
      }
    },
    stop: ({ jobId, attempt }, reason, graceMs, message) =>
      send(call, {
        $case: "stop",
        value: { attempts: [{ jobId, attempt, reason, graceMs, message }] },
      }),
    goodbye: (reason) => {
      send(call, { $case: "goodbye", value: { reason } });
      call.end();
    },
  };
}

interface JobsPart {
  readonly messages: LeasedJobMessage[];
  bytes: number;
}

/** Splits jobs into messages of bounded size. */
function partsOf(jobs: readonly JobDelivery[]): readonly JobsPart[] {
  const parts: JobsPart[] = [];
  let part: JobsPart = { messages: [], bytes: 0 };
  for (const job of jobs) {
    const message = leasedJobMessage(job);
    const bytes = message.input.length;
    if (parts.length === 0 || part.bytes + bytes > BATCH_BYTES_MAX) {
      part = { messages: [], bytes: 0 };
      parts.push(part);
    }
    part.messages.push(message);
    part.bytes += bytes;
  }
  return parts;
}

function leasedJobMessage(job: JobDelivery): LeasedJobMessage {
  return {
    jobId: job.id,
    attempt: job.attempt,
    task: job.lane.task,
    queue: job.lane.queue,
    input: Buffer.from(job.input, job.inputContentType === undefined ? "utf8" : "base64"),
    inputContentType: job.inputContentType ?? "",
    priority: job.priority,
    maxAttempts: job.maxAttempts,
    failureCount: job.failureCount,
    createdAt: job.createdAt,
    tags: [...job.tags],
  };
}

/** @param onRead called when the message left for the worker, which its reading allows */
function send(
  call: WorkerCall,
  message: NonNullable<ServerMessage["message"]>,
  onRead?: () => void,
): void {
  if (!call.cancelled && !call.destroyed && !call.writableEnded) call.write({ message }, onRead);
}

function violation(message: string): AppError {
  return new AppError("protocol_violation", `Worker protocol: ${message}. See docs/protocol.md.`);
}
