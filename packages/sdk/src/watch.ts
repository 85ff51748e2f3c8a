/** Server streams that survive the loss of their server. */
import { setTimeout as sleep } from "node:timers/promises";

import { status as Rpc } from "@grpc/grpc-js";

import { checkMessage } from "./check-message.ts";
import { BatonError } from "./errors.ts";
import { toJob, toJobEvent } from "./from-wire.ts";
import type { JobServiceClient, WatchRequest, WatchResponse } from "./gen/baton/v1/job.ts";
import { WATCH_OUTAGE_MS_MAX } from "./limits.ts";
import { isServiceError, isTransient, toBatonError } from "./rpc-error.ts";
import { toWireFilter } from "./filter.ts";
import type { CallTarget } from "./unary.ts";
import type { Job, JobEvent, JobFilter } from "./views.ts";

export interface WatchTarget extends CallTarget {
  readonly jobs: JobServiceClient;
}

/**
 * One job: its present shape, again after each change, and the end after its final state. After a reconnect the
 * present shape comes again. Ends quietly when `signal` aborts.
 *
 * @throws BatonError job_not_found, connection_failed (no server for 5 minutes)
 */
export async function* watchJob<Output>(
  to: WatchTarget,
  jobId: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Job<Output>, void, undefined> {
  const request: WatchRequest = { jobId, filter: undefined, afterSequence: undefined };
  checkMessage(request);
  for await (const response of resumed(to, () => request, signal)) {
    if (response.job === undefined) continue;
    const job = toJob<Output>(response.job, true);
    yield job;
    if (job.state === "succeeded" || job.state === "dead" || job.state === "cancelled") return;
  }
}

/**
 * Changes of state of matching jobs, from now on or after a sequence. After a reconnect it goes on behind the last
 * event it delivered; only when there was none yet and no `afterSequence`, what happened meanwhile is not seen.
 */
export async function* watchEvents(
  to: WatchTarget,
  filter: JobFilter,
  afterSequence: number | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<JobEvent, void, undefined> {
  const wireFilter = toWireFilter(filter);
  let last = afterSequence;
  const request = () => ({ jobId: "", filter: wireFilter, afterSequence: last });
  checkMessage(request());
  for await (const response of resumed(to, request, signal)) {
    last = response.sequence;
    yield toJobEvent(response);
  }
}

/** Opens the stream again whenever it breaks, until the caller stops or the outage is too long. */
async function* resumed(
  to: WatchTarget,
  request: () => WatchRequest,
  signal: AbortSignal | undefined,
): AsyncGenerator<WatchResponse, void, undefined> {
  let failures = 0;
  let lostAt = performance.now();
  while (!isAborted(signal)) {
    to.calls.checkOpen();
    let end: unknown = new BatonError("connection_failed", "the server ended the watch");
    try {
      for await (const response of open(to, request(), signal)) {
        failures = 0;
        yield response;
        lostAt = performance.now();
      }
    } catch (error) {
      to.calls.checkOpen();
      if (!isAborted(signal) && !mayResume(error)) throw toBatonError(error, to.connection.address);
      end = error;
    }
    if (performance.now() - lostAt > WATCH_OUTAGE_MS_MAX) {
      throw toBatonError(end, to.connection.address);
    }
    failures += 1;
    const delayMs = Math.min(2_000, 100 * 2 ** (failures - 1)) * Math.random();
    await sleep(delayMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  }
}

/** Read through a call, because the signal changes behind the compiler's back. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

async function* open(
  to: WatchTarget,
  request: WatchRequest,
  signal: AbortSignal | undefined,
): AsyncGenerator<WatchResponse, void, undefined> {
  const call = to.jobs.watch(request, to.connection.metadata());
  // Every way out cancels the call; an error that comes after the loop has ended must not be unhandled.
  call.on("error", () => undefined);
  const untrack = to.calls.track(call);
  const onAbort = () => call.cancel();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    for await (const response of call) yield checked(response);
  } finally {
    signal?.removeEventListener("abort", onAbort);
    untrack();
    call.cancel();
  }
}

/** The stream is typed by its generator only, not by its iterator. */
function checked(response: unknown): WatchResponse {
  if (typeof response === "object" && response !== null && isWatchResponse(response))
    return response;
  throw new BatonError("internal", "the stream delivered something that is no WatchResponse");
}

function isWatchResponse(response: object): response is WatchResponse {
  return "sequence" in response && "job" in response;
}

/** A broken connection, a restarting server, or a watcher that was too slow and resumes by its sequence. */
function mayResume(error: unknown): boolean {
  if (isTransient(error)) return true;
  if (!isServiceError(error)) return false;
  if (error.code === Rpc.RESOURCE_EXHAUSTED) return true;
  // grpc-js reports a stream that was reset in the middle as INTERNAL or CANCELLED, without the server's trailer.
  const isReset =
    error.code === Rpc.INTERNAL || error.code === Rpc.CANCELLED || error.code === Rpc.UNKNOWN;
  return isReset && error.metadata.get("baton-error").length === 0;
}
