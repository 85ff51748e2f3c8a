/** What goes down a worker's stream, and how much of it waits there for a worker that does not read. */
import type { LeasedJob as LeasedJobMessage, ServerMessage } from "@baton/sdk/contract";
import type { ServerDuplexStream } from "@grpc/grpc-js";

import { partsOf } from "../../dispatch/message-parts.ts";
import type { JobDelivery, StopReason, WorkerSink } from "../../dispatch/worker-session.ts";
import type { AttemptRef } from "../../domain/job.ts";
import { WORKER_UNSENT_BYTES_MAX } from "../../domain/limits.ts";

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
    const messages = jobs.map(leasedJobMessage);
    for (const part of partsOf(messages, ({ input }) => input.length)) {
      const bytes = part.reduce((sum, { input }) => sum + input.length, 0);
      this.send({ $case: "jobs", value: { jobs: part } }, part.length, bytes);
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

/** Of messages that are only written. */
const NO_TAGS: string[] = [];

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
    tags: job.tags.length === 0 ? NO_TAGS : [...job.tags],
  };
}
