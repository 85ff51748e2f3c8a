/** The way in: finds slots for jobs that can start at once, and writes them in batches. */
import type { JobSpec, SubmitResult } from "../domain/job-spec.ts";
import {
  BATCH_BYTES_MAX,
  INTAKE_BATCH_MAX,
  INTAKE_PENDING_BYTES_MAX,
  INTAKE_PENDING_MAX,
} from "../domain/limits.ts";
import type { BadJob } from "../errors.ts";
import { enqueueAgain, enqueuePlain } from "../operations/enqueue.ts";
import { isDataError, type Database } from "../store/db.ts";
import type { NewJob } from "../store/job-enqueue.ts";
import {
  Admission,
  hasKey,
  isDelayed,
  toNewJob,
  type AdmittedJob,
  type EnqueueCall,
} from "./admission.ts";
import { Batcher, type BatcherBounds } from "./batcher.ts";
import { IntakePace, PACE_MS_MAX, PACED_JOBS_MIN } from "./intake-pace.ts";
import { KeyedIntake } from "./keyed-intake.ts";
import type { Lane } from "./lane.ts";
import type { Lanes } from "./lanes.ts";
import { patiently } from "./patience.ts";
import type { JobDelivery } from "./worker-session.ts";
import type { ReservedSlot, Workers } from "./workers.ts";

export interface IntakeOptions {
  readonly db: Database;
  readonly lanes: Lanes;
  readonly workers: Workers;
  readonly payloadBytesMax: number;
  readonly idempotencyMs: number;
  /** Called when ready jobs stand in these lanes. */
  readonly onQueued: (lanes: ReadonlySet<Lane>) => void;
  /** Called when a job was scheduled; `undefined` when its instant is not known here. */
  readonly onScheduled: (dueInMs: number | undefined) => void;
  readonly onChanged: (jobIds: readonly string[]) => void;
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
}

const BOUNDS: BatcherBounds = {
  batchRowsMax: INTAKE_BATCH_MAX,
  batchBytesMax: BATCH_BYTES_MAX,
  pendingRowsMax: INTAKE_PENDING_MAX,
  pendingBytesMax: INTAKE_PENDING_BYTES_MAX,
  what: "jobs",
};

export class Intake {
  readonly #options: IntakeOptions;
  readonly #admission: Admission;
  readonly #plain: Batcher<EnqueueCall>;
  readonly #bulks: Batcher<EnqueueCall>;
  readonly #keyed: KeyedIntake;
  readonly #pace: IntakePace;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#admission = new Admission(options);
    this.#plain = new Batcher({
      ...BOUNDS,
      writesMax: 2,
      write: (calls) => this.#write(calls),
      onError: options.onError,
    });
    this.#pace = new IntakePace(options);
    this.#bulks = new Batcher({
      ...BOUNDS,
      writesMax: 1,
      write: (calls) => this.#writeBulks(calls),
      onError: options.onError,
    });
    this.#keyed = new KeyedIntake({
      ...options,
      bounds: BOUNDS,
      onWritten: (jobs, states) => this.#announce(jobs, states),
    });
  }

  /** Accepts 1 to BULK_JOBS_MAX jobs, all or none. @see Operations.submit */
  async submit(
    specs: readonly JobSpec[],
    unread: readonly BadJob[] = [],
  ): Promise<readonly SubmitResult[]> {
    const jobs = await this.#admission.admit(specs, unread);
    const way = this.#wayOf(specs);
    return new Promise((resolve, reject) => {
      way.add({ jobs, resolve, reject }, jobs.length, bytesOf(specs));
    });
  }

  /** Waits until everything that was taken in is written. */
  async idle(): Promise<void> {
    await Promise.all([this.#plain.idle(), this.#bulks.idle(), this.#keyed.idle()]);
  }

  #wayOf(specs: readonly JobSpec[]): Batcher<EnqueueCall> | KeyedIntake {
    if (specs.some(hasKey)) return this.#keyed;
    return specs.length < PACED_JOBS_MIN ? this.#plain : this.#bulks;
  }

  /** Writes bulks, in parts that find free slots where waiting for these is worth while. */
  async #writeBulks(calls: readonly EnqueueCall[]): Promise<void> {
    const deadlineMs = this.#options.now() + PACE_MS_MAX;
    let rest = calls;
    while (rest.length > 0) {
      const part = await this.#pace.nextPart(rest, deadlineMs);
      rest = rest.slice(part.length);
      await this.#write(part);
    }
  }

  async #write(calls: readonly EnqueueCall[]): Promise<void> {
    const jobs = calls.flatMap((call) => call.jobs);
    const slots = this.#reserve(jobs);
    const rows = jobs.map((job, index) => toNewJob(job, slots[index]?.session.id));
    // Known before the commit, so that nothing overtakes these jobs meanwhile.
    const queued = new Set(jobs.flatMap((job, index) => (slots[index] ? [] : [job.lane])));
    for (const lane of queued) lane.markBacklog();
    let states: readonly string[];
    try {
      states = await this.#insert(rows);
    } catch (error) {
      this.#options.workers.unreserve(slots);
      if (isDataError(error) && calls.length > 1) {
        // One of them does not fit into the database; find out which.
        for (const call of calls) await this.#write([call]);
        return;
      }
      for (const call of calls) call.reject(error);
      return;
    }
    this.#settle(calls, jobs, slots, states);
  }

  async #insert(rows: readonly NewJob[]): Promise<readonly string[]> {
    const { db } = this.#options;
    return patiently(db, (isRepeat) =>
      isRepeat ? enqueueAgain(db, rows) : enqueuePlain(db, rows),
    );
  }

  #settle(
    calls: readonly EnqueueCall[],
    jobs: readonly AdmittedJob[],
    slots: readonly (ReservedSlot | undefined)[],
    states: readonly string[],
  ): void {
    const now = new Date();
    const deliveries = jobs.map((job, index) =>
      states[index] === "running" && slots[index] ? toFirstDelivery(job, now) : undefined,
    );
    this.#options.workers.deliver(deliveries, slots);
    this.#announce(jobs, states);
    let index = 0;
    for (const call of calls) {
      const results = call.jobs.map((job, offset) => ({
        jobId: job.id,
        isDuplicate: false,
        state: states[index + offset] ?? "queued",
      }));
      index += call.jobs.length;
      call.resolve(results);
    }
  }

  #announce(jobs: readonly AdmittedJob[], states: readonly (string | undefined)[]): void {
    const queued = new Set<Lane>();
    jobs.forEach((job, index) => {
      if (states[index] === "queued") {
        queued.add(job.lane);
        job.lane.countReady(1);
        job.lane.leaseStart.queued(job.priority);
      }
      if (states[index] === "scheduled") this.#options.onScheduled(job.extra?.delayMs);
    });
    if (queued.size > 0) this.#options.onQueued(queued);
    this.#options.onChanged(jobs.map((job) => job.id));
  }

  /** Slots for jobs that can start at once, the most urgent first. */
  #reserve(jobs: readonly AdmittedJob[]): (ReservedSlot | undefined)[] {
    const slots: (ReservedSlot | undefined)[] = Array.from({ length: jobs.length });
    const first = jobs[0]?.priority;
    const isMixed = jobs.some((job) => job.priority !== first);
    const order = isMixed
      ? [...jobs.keys()].sort((a, b) => priorityOf(jobs[b]) - priorityOf(jobs[a]) || a - b)
      : jobs.keys();
    for (const index of order) {
      const job = jobs[index];
      if (job === undefined || isDelayed(job)) continue;
      slots[index] = this.#options.workers.reserveFor(job.lane);
    }
    return slots;
  }
}

function bytesOf(specs: readonly JobSpec[]): number {
  return specs.reduce((sum, spec) => sum + spec.input.length, 0);
}

const NO_TAGS: readonly string[] = [];

function toFirstDelivery(job: AdmittedJob, createdAt: Date): JobDelivery {
  return {
    id: job.id,
    attempt: 1,
    lane: job.lane,
    input: job.input,
    inputContentType: job.extra?.inputContentType,
    priority: job.priority,
    maxAttempts: job.maxAttempts,
    failureCount: 0,
    lostCount: 0,
    createdAt,
    tags: job.extra?.tags ?? NO_TAGS,
    options: job.extra?.options,
    deadlineInMs: job.extra?.deadlineMs,
    isCancelRequested: false,
    leasedAgoMs: 0,
  };
}

function priorityOf(job: AdmittedJob | undefined): number {
  return job?.priority ?? 0;
}
