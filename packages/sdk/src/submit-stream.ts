/** Bulk without an end: a client stream of batches, as fast as the server takes them. */
import type { ClientWritableStream, ServiceError } from "@grpc/grpc-js";

import { BatonError } from "./errors.ts";
import type {
  JobServiceClient,
  JobSpec,
  SubmitManyRequest,
  SubmitStreamResponse,
} from "./gen/baton/v1/job.ts";
import { toJobSpec } from "./job-spec.ts";
import type { JobRequest } from "./job-spec.ts";
import { STREAM_BATCH_BYTES_MAX, STREAM_BATCH_JOBS_MAX } from "./limits.ts";
import { jobBytesMost } from "./message-size.ts";
import { isServiceError, toBatonError, wasNeverSent } from "./rpc-error.ts";
import { shown } from "./shown.ts";
import type { CallTarget } from "./unary.ts";

export interface SubmitStreamOptions {
  /** Called after each batch that was handed to the connection. */
  readonly onProgress?: ((progress: SubmitStreamProgress) => void) | undefined;
  /** Jobs in one batch, 1 to 1,000. A batch is accepted or refused whole. @default 1,000 */
  readonly batchJobs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface SubmitStreamProgress {
  readonly sentCount: number;
  readonly sentBatchCount: number;
}

export interface SubmitStreamResult {
  readonly acceptedCount: number;
  /** Of the accepted ones: led to an earlier job by an idempotency key or a unique key. */
  readonly duplicateCount: number;
  /** The first 100. */
  readonly refused: readonly RefusedBatch[];
  readonly refusedBatchCount: number;
}

export interface RefusedBatch {
  /** Position of its first job in the stream, from 0. */
  readonly firstJobIndex: number;
  readonly jobCount: number;
  readonly error: BatonError;
}

/**
 * Submits what the iterable yields. Nothing is kept but the batch being filled: the iterable is asked for more only when
 * the connection has taken what there was.
 *
 * @throws BatonError invalid_input, invalid_argument, payload_too_large (of one request, `details.index`; batches before it are accepted,
 *   see `details.acceptedCount`), connection_failed (complete batches may have been accepted: give jobs idempotency keys
 *   to repeat the stream safely); whatever the iterable throws; the signal's reason when it aborts
 */
export async function submitStream(
  to: StreamTarget,
  requests: AsyncIterable<JobRequest> | Iterable<JobRequest>,
  options: SubmitStreamOptions,
): Promise<SubmitStreamResult> {
  checkBatchJobs(options.batchJobs);
  options.signal?.throwIfAborted();
  to.calls.checkOpen();
  const stream = new BatchStream(to);
  const untrack = to.calls.track(stream);
  const onAbort = () => stream.cancel();
  options.signal?.addEventListener("abort", onAbort, { once: true });
  const sizes: number[] = [];
  try {
    await sendAll(stream, requests, options, sizes);
    stream.end();
    return toResult(await stream.answer, sizes);
  } catch (error) {
    options.signal?.throwIfAborted();
    to.calls.checkOpen();
    throw await withAccepted(stream, error, to.connection.address);
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
    untrack();
    stream.cancel();
  }
}

interface StreamTarget extends CallTarget {
  readonly jobs: JobServiceClient;
}

function checkBatchJobs(batchJobs: number | undefined): void {
  if (batchJobs === undefined) return;
  if (Number.isInteger(batchJobs) && batchJobs >= 1 && batchJobs <= STREAM_BATCH_JOBS_MAX) return;
  throw new BatonError(
    "invalid_argument",
    `batchJobs must be an integer of 1 to ${STREAM_BATCH_JOBS_MAX}, got ${shown(batchJobs)}`,
  );
}

/** An open stream that holds at most two batches: one on its way and one behind it. */
class BatchStream {
  /** Rejects when the stream breaks. */
  readonly answer: Promise<SubmitStreamResponse>;
  readonly #call: ClientWritableStream<SubmitManyRequest>;
  /** Resolves as soon as there is an answer, also in the middle of the stream. */
  readonly #answered: Promise<void>;
  #isAnswered = false;
  #previous: Promise<void> = Promise.resolve();

  constructor(to: StreamTarget) {
    const { promise, resolve, reject } = Promise.withResolvers<SubmitStreamResponse>();
    this.#call = to.jobs.submitStream(to.connection.metadata(), (error, response) => {
      this.#isAnswered = true;
      if (error === null) resolve(response);
      else reject(error);
    });
    this.#call.on("error", () => undefined);
    this.answer = promise;
    // The rejection is awaited by whoever asks for the answer; nobody does when the iterable fails first.
    this.#answered = promise.then(
      () => undefined,
      () => undefined,
    );
  }

  /** Hands one batch over, as soon as the batch before it has left. @throws what the server answered too early */
  async send(jobs: JobSpec[]): Promise<void> {
    await Promise.race([this.#previous, this.#answered]);
    if (this.#isAnswered) {
      await this.answer;
      throw new BatonError("internal", "the server answered before the stream had ended");
    }
    this.#previous = new Promise((resolve) => {
      this.#call.write({ jobs }, () => resolve());
    });
  }

  end(): void {
    this.#call.end();
  }

  cancel(): void {
    this.#call.cancel();
  }
}

async function sendAll(
  stream: BatchStream,
  requests: AsyncIterable<JobRequest> | Iterable<JobRequest>,
  options: SubmitStreamOptions,
  sizes: number[],
): Promise<void> {
  const batchJobsMax = options.batchJobs ?? STREAM_BATCH_JOBS_MAX;
  let batch: JobSpec[] = [];
  let batchBytes = 0;
  let index = 0;
  const send = async () => {
    await stream.send(batch);
    sizes.push(batch.length);
    batch = [];
    batchBytes = 0;
    options.onProgress?.({ sentCount: index, sentBatchCount: sizes.length });
  };
  for await (const request of requests) {
    const spec = await toJobSpec(request, { index });
    const bytes = jobBytesMost(spec);
    const isFull = batch.length >= batchJobsMax || batchBytes + bytes > STREAM_BATCH_BYTES_MAX;
    if (batch.length > 0 && isFull) await send();
    batch.push(spec);
    batchBytes += bytes;
    index += 1;
  }
  if (batch.length > 0) await send();
}

/** After a fault on this side: ends the stream properly, so that the error can say what was accepted. */
async function withAccepted(
  stream: BatchStream,
  error: unknown,
  address: string,
): Promise<unknown> {
  if (isServiceError(error)) return withDoubt(error, address);
  stream.end();
  const response = await stream.answer.catch(() => undefined);
  if (!(error instanceof BatonError)) return error;
  const details = { ...error.details, acceptedCount: response?.acceptedCount };
  return new BatonError(error.code, error.message, details, { cause: error.cause });
}

/** A stream that broke has left its complete batches behind, if it ever reached a server. */
function withDoubt(error: ServiceError, address: string): BatonError {
  const told = toBatonError(error, address);
  if (wasNeverSent(error)) return told;
  const details = { ...told.details, mayHaveHappened: true };
  return new BatonError(told.code, told.message, details, { cause: error });
}

function toResult(response: SubmitStreamResponse, sizes: readonly number[]): SubmitStreamResult {
  return {
    acceptedCount: response.acceptedCount,
    duplicateCount: response.duplicateCount,
    refused: response.refused.map((batch) => ({
      firstJobIndex: sizes.slice(0, batch.index).reduce((sum, size) => sum + size, 0),
      jobCount: sizes[batch.index] ?? 0,
      error: new BatonError(batch.code, batch.message, parseDetails(batch.details)),
    })),
    refusedBatchCount: response.refusedBatchCount,
  };
}

function parseDetails(bytes: Buffer): Readonly<Record<string, unknown>> {
  if (bytes.length === 0) return {};
  const details: unknown = JSON.parse(bytes.toString("utf8"));
  return typeof details === "object" && details !== null ? { ...details } : { details };
}
