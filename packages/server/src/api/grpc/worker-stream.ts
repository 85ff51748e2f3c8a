/**
 * WorkerService.Connect: one stream for each worker. Translates messages and keeps their order; docs/protocol.md is the
 * specification. Decides nothing.
 */
import type { ServerDuplexStream } from "@grpc/grpc-js";
import type { ServerMessage, WorkerMessage } from "@baton/sdk/contract";

import type { WorkerConnection } from "../../dispatch/worker-connection.ts";
import type { WorkerDoor } from "../../dispatch/worker-door.ts";
import { ENTRIES_PER_MESSAGE_MAX, MESSAGE_BYTES_MAX } from "../../domain/limits.ts";
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
import { WorkerStreamSink } from "./worker-sink.ts";
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
    let hasFailed = false;
    const fail = (error: unknown): void => {
      if (hasFailed || call.cancelled) return;
      hasFailed = true;
      // Ends the stream with a status, and whoever reads it with this error.
      call.emit("error", errorStatus(error, PATH, options.logger));
    };
    serve(call, options, fail).then(() => call.end(), fail);
  };
}

async function serve(
  call: WorkerCall,
  options: WorkerStreamOptions,
  fail: (error: unknown) => void,
): Promise<void> {
  const messages = call[Symbol.asyncIterator]();
  const hello = await firstMessage(messages);
  if (hello === undefined) return;
  let connection: WorkerConnection | undefined = undefined;
  const sink = new WorkerStreamSink(call, () => connection?.relieved());
  connection = await options.workerDoor.connect(
    helloFromMessage(hello),
    sink,
    ({ stale, ...rhythm }) =>
      sink.send(
        {
          $case: "welcome",
          value: {
            server: options.serverName,
            ...rhythm,
            stale: [...stale],
            messageBytesMax: MESSAGE_BYTES_MAX,
            payloadBytesMax: options.payloadBytesMax,
          },
        },
        stale.length,
      ),
  );
  let inOrder = false;
  try {
    await follow({ messages, connection, sink, fail, payloadBytesMax: options.payloadBytesMax });
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

interface Following {
  readonly messages: Messages;
  readonly connection: WorkerConnection;
  readonly sink: WorkerStreamSink;
  readonly fail: (error: unknown) => void;
  readonly payloadBytesMax: number;
}

async function follow(following: Following): Promise<void> {
  const { messages, connection, sink, fail, payloadBytesMax } = following;
  const waiting = new Set<Promise<void>>();
  for (;;) {
    // What a worker says makes something to write, here or down to it: it is not read while either is full.
    await (sink.relief() ?? connection.room());
    const next = await messages.next();
    if (next.done === true) break;
    const { message } = messageOf(next.value, PATH);
    switch (message?.$case) {
      case "outcomes": {
        const { sequence } = message.value;
        const outcomes = bounded("outcomes", message.value.outcomes);
        const booked = connection
          .outcomes(outcomes.map((outcome) => outcomeFromMessage(outcome, payloadBytesMax)))
          .then((stale) =>
            sink.send(
              { $case: "outcomesAck", value: { sequence, stale: [...stale] } },
              stale.length,
            ),
          )
          .catch(fail)
          .finally(() => waiting.delete(booked));
        waiting.add(booked);
        if (waiting.size >= OUTCOME_MESSAGES_MAX) await Promise.race(waiting);
        break;
      }
      case "progress":
        connection.progress(bounded("reports", message.value.reports).map(progressFromMessage));
        break;
      case "logs":
        await connection.logs(bounded("log lines", message.value.entries).map(logLineFromMessage));
        break;
      case "heartbeat": {
        const { sequence } = message.value;
        sink.send({
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
}

function bounded<Entry>(what: string, entries: readonly Entry[]): readonly Entry[] {
  if (entries.length <= ENTRIES_PER_MESSAGE_MAX) return entries;
  throw violation(
    `one message carries at most ${ENTRIES_PER_MESSAGE_MAX} ${what}; received ${entries.length}`,
  );
}

function violation(message: string): AppError {
  return new AppError("protocol_violation", `Worker protocol: ${message}. See docs/protocol.md.`);
}
