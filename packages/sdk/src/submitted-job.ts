import { toJobState } from "./from-wire.ts";
import type { SubmitResponse } from "./gen/baton/v1/job.ts";
import { awaitResult } from "./job-handle.ts";
import type { JobHandle, ResultOptions } from "./job-handle.ts";
import type { Job, JobState, LogLine } from "./views.ts";

/** What a handle asks its client for. */
export interface JobCalls {
  get<Output>(id: string): Promise<Job<Output>>;
  watch<Output>(id: string, signal: AbortSignal | undefined): AsyncIterable<Job<Output>>;
  cancel(id: string, reason: string | undefined): Promise<"cancelled" | "running">;
  logs(id: string): AsyncIterable<LogLine>;
}

/**
 * The handle of a job. What it can do is made when it is first asked for, because a bulk gives a thousand handles of which
 * few are used; and everything works when taken apart by name (`const { id, result } = handle`). A copy by `{ ...handle }`
 * has only its data.
 */
export class SubmittedJob<Output> implements JobHandle<Output> {
  readonly id: string;
  readonly isDuplicate: boolean;
  readonly state: JobState | undefined;
  readonly #calls: JobCalls;

  constructor(calls: JobCalls, { jobId, isDuplicate, state }: SubmitResponse) {
    this.id = jobId;
    this.isDuplicate = isDuplicate;
    this.state = state === "" ? undefined : toJobState(state);
    this.#calls = calls;
  }

  get result(): JobHandle<Output>["result"] {
    const watch = (signal: AbortSignal | undefined): AsyncIterable<Job<Output>> =>
      this.#calls.watch<Output>(this.id, signal);
    return (options: ResultOptions = {}) => awaitResult<Output>(watch, this.id, options);
  }

  get get(): JobHandle<Output>["get"] {
    return () => this.#calls.get<Output>(this.id);
  }

  get watch(): JobHandle<Output>["watch"] {
    return (options = {}) => this.#calls.watch<Output>(this.id, options.signal);
  }

  get cancel(): JobHandle<Output>["cancel"] {
    return (reason) => this.#calls.cancel(this.id, reason);
  }

  get logs(): JobHandle<Output>["logs"] {
    return () => this.#calls.logs(this.id);
  }
}
