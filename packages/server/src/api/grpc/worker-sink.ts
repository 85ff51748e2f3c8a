/** What goes down a worker's stream, and how much of it waits there for a worker that does not read. */
import type { LeasedJob as LeasedJobMessage, ServerMessage } from "@baton/sdk/contract";
import type { ServerDuplexStream } from "@grpc/grpc-js";

import type { JobDelivery, StopReason, WorkerSink } from "../../dispatch/worker-session.ts";
import type { AttemptRef } from "../../domain/job.ts";
import {
  BATCH_BYTES_MAX,
  JOBS_PER_MESSAGE_MAX,
  WORKER_UNSENT_BYTES_MAX,
} from "../../domain/limits.ts";

/** The half of a stream that goes down. */
type Down = Pick<
  ServerDuplexStream<unknown, ServerMessage>,
  "write" | "end" | "once" | "cancelled" | "destroyed" | "writableEnded"
>;

/** About what a message weighs beside its inputs and for each attempt that it names. */
const MESSAGE_BYTES = 64;
const ATTEMPT_BYTES = 192;

export class WorkerStreamSink implements WorkerSink {
  readonly #call: Down;
  readonly #onRelief: () => void;
  #unsentBytes = 0;
  #relief: PromiseWithResolvers<void> | undefined;

  /** @param onRelief called when it was full and is not any more */
  constructor(call: Down, onRelief: () => void) {
    this.#call = call;
    this.#onRelief = onRelief;
    // Nothing goes down a stream that is over, and nobody shall wait for it.
    call.once("cancelled", () => this.#relieve());
    call.once("close", () => this.#relieve());
  }

  get isFull(): boolean {
    return this.#unsentBytes > WORKER_UNSENT_BYTES_MAX;
  }

  /** Resolves when it is not full any more, or the stream is over; `undefined` when it is not full now. */
  relief(): Promise<void> | undefined {
    if (!this.isFull || this.#isOver) return undefined;
    this.#relief ??= Promise.withResolvers();
    return this.#relief.promise;
  }

  /** @param attemptCount how many attempts it names */
  send(message: NonNullable<ServerMessage["message"]>, attemptCount = 0, payloadBytes = 0): void {
    if (this.#isOver || this.#call.writableEnded) return;
    const bytes = MESSAGE_BYTES + attemptCount * ATTEMPT_BYTES + payloadBytes;
    this.#unsentBytes += bytes;
    this.#call.write({ message }, () => {
      const wasFull = this.isFull;
      this.#unsentBytes -= bytes;
      if (wasFull && !this.isFull) this.#relieve();
    });
  }

  jobs(jobs: readonly JobDelivery[]): void {
    for (const { messages, bytes } of partsOf(jobs)) {
      this.send({ $case: "jobs", value: { jobs: messages } }, messages.length, bytes);
    }
  }

  stop(refs: readonly AttemptRef[], reason: StopReason, graceMs: number, message: string): void {
    const attempts = refs.map(({ jobId, attempt }) => ({
      jobId,
      attempt,
      reason,
      graceMs,
      message,
    }));
    this.send({ $case: "stop", value: { attempts } }, attempts.length);
  }

  goodbye(reason: string): void {
    this.send({ $case: "goodbye", value: { reason } });
    this.#call.end();
  }

  get #isOver(): boolean {
    return this.#call.cancelled || this.#call.destroyed;
  }

  #relieve(): void {
    this.#relief?.resolve();
    this.#relief = undefined;
    this.#onRelief();
  }
}

interface JobsPart {
  readonly messages: LeasedJobMessage[];
  bytes: number;
}

/** Splits jobs into messages of bounded size. */
function partsOf(jobs: readonly JobDelivery[]): readonly JobsPart[] {
  const parts: JobsPart[] = [];
  let part: JobsPart | undefined;
  for (const job of jobs) {
    const message = leasedJobMessage(job);
    const bytes = message.input.length;
    if (
      part === undefined ||
      part.messages.length === JOBS_PER_MESSAGE_MAX ||
      part.bytes + bytes > BATCH_BYTES_MAX
    ) {
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
