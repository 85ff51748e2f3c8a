/** A stream of submissions at a steady rate, and what its callers were told. */
import { BatonError, type Client } from "@baton/sdk";

import { LOAD_TASK, loadJob, type LoadJob } from "./load-job.ts";

/** A submission that was answered. */
export interface Acknowledged {
  readonly jobId: string;
  /** Of the job in the load. */
  readonly number: number;
  readonly idempotencyKey: string | undefined;
}

export interface LoadOptions {
  readonly client: Client;
  readonly seed: number;
  readonly ratePerSecond: number;
  /** Calls under way; at the bound the load falls behind its rate, and does not catch up. */
  readonly inFlightMax: number;
}

const TICK_MS = 10;

/** Submits from `start` to `stop`. */
export class Load {
  readonly acknowledged: Acknowledged[] = [];
  /** Submissions that ended with an error, by its code: the jobs may exist or not. */
  readonly failures = new Map<string, number>();
  readonly #options: LoadOptions;
  readonly #inFlight = new Set<Promise<void>>();
  #nextNumber = 0;
  #tickedAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  /** Jobs that it has tried to submit. */
  get triedCount(): number {
    return this.#nextNumber;
  }

  start(): void {
    this.#tickedAtMs = performance.now();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Resolves when every call has its answer. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#inFlight);
  }

  #tick(): void {
    const { seed, ratePerSecond, inFlightMax } = this.#options;
    const nowMs = performance.now();
    const due = Math.floor(((nowMs - this.#tickedAtMs) * ratePerSecond) / 1_000);
    if (due === 0) return;
    this.#tickedAtMs = nowMs;
    for (let count = Math.min(due, inFlightMax - this.#inFlight.size); count > 0; count -= 1) {
      const submission = this.#submit(loadJob(seed, this.#nextNumber));
      this.#nextNumber += 1;
      this.#inFlight.add(submission);
      void submission.then(() => this.#inFlight.delete(submission));
    }
  }

  async #submit(job: LoadJob): Promise<void> {
    await this.#submitOnce(job);
    if (job.isRepeated) await this.#submitOnce(job);
  }

  async #submitOnce({ input, delayMs, idempotencyKey }: LoadJob): Promise<void> {
    try {
      const handle = await this.#options.client.enqueue(LOAD_TASK, input, {
        delayMs,
        idempotencyKey,
      });
      this.acknowledged.push({ jobId: handle.id, number: input.number, idempotencyKey });
    } catch (error) {
      const code = error instanceof BatonError ? error.code : String(error);
      this.failures.set(code, (this.failures.get(code) ?? 0) + 1);
    }
  }
}
