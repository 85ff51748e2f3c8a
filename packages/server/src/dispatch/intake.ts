/** The way in: checks specs, finds slots for those that can start at once, and writes them in batches. */
import { createHash } from "node:crypto";

import { checkSpec, jobOptions, maxAttemptsOf } from "../domain/check-spec.ts";
import { newJobId } from "../domain/job-id.ts";
import type { JobSpec, SubmitResult } from "../domain/job-spec.ts";
import {
  BATCH_BYTES_MAX,
  BULK_JOBS_MAX,
  INTAKE_BATCH_MAX,
  INTAKE_PENDING_BYTES_MAX,
  INTAKE_PENDING_MAX,
} from "../domain/limits.ts";
import type { TaskDefinition } from "../domain/views.ts";
import { AppError, refuseBadJobs, type BadJob } from "../errors.ts";
import {
  enqueueAgain,
  enqueueKeyed,
  enqueuePlain,
  isRefusal,
  type EnqueueItem,
  type EnqueueResult,
} from "../operations/enqueue.ts";
import { asUnavailable, isDataError, type Database } from "../store/db.ts";
import type { NewJob, NewJobExtra } from "../store/job-enqueue.ts";
import { Batcher } from "./batcher.ts";
import type { Lane } from "./lane.ts";
import { NAMESPACE_ID, type Lanes } from "./lanes.ts";
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
  readonly onError: (error: unknown) => void;
}

/** A checked job of a call. */
interface Prepared {
  readonly id: string;
  readonly lane: Lane;
  readonly spec: JobSpec;
  readonly task: TaskDefinition;
  readonly maxAttempts: number;
  readonly extra: NewJobExtra | undefined;
}

interface Call {
  readonly jobs: readonly Prepared[];
  readonly resolve: (results: readonly SubmitResult[]) => void;
  readonly reject: (error: unknown) => void;
}

export class Intake {
  readonly #options: IntakeOptions;
  readonly #plain: Batcher<Call>;
  readonly #keyed: Batcher<Call>;

  constructor(options: IntakeOptions) {
    this.#options = options;
    const bounds = {
      // Each job weighs 1 and its share of the bytes of one statement.
      batchWeightMax: INTAKE_BATCH_MAX,
      pendingMax: INTAKE_PENDING_MAX,
      pendingWeightMax: INTAKE_PENDING_MAX + INTAKE_PENDING_BYTES_MAX / BYTES_PER_WEIGHT,
      what: "submits",
      onError: options.onError,
    };
    this.#plain = new Batcher({
      ...bounds,
      writesMax: 2,
      write: (calls) => this.#writePlain(calls),
    });
    this.#keyed = new Batcher({
      ...bounds,
      writesMax: 1,
      write: (calls) => this.#writeKeyed(calls),
    });
  }

  /** Accepts 1 to BULK_JOBS_MAX jobs, all or none. @see Operations.submit */
  async submit(
    specs: readonly JobSpec[],
    unread: readonly BadJob[] = [],
  ): Promise<readonly SubmitResult[]> {
    const count = specs.length + unread.length;
    if (count === 0 || count > BULK_JOBS_MAX) {
      throw new AppError(
        "invalid_argument",
        `One call takes 1 to ${BULK_JOBS_MAX} jobs; received ${count}.`,
      );
    }
    const jobs =
      (unread.length === 0 ? this.#prepareNow(specs) : undefined) ??
      (await this.#prepare(specs, unread));
    const isKeyed = specs.some(hasKey);
    if (isKeyed && jobs.length > 1) return this.#submitKeyedBulk(jobs);
    const weight = jobs.reduce(
      (sum, { spec }) => sum + 1 + spec.input.length / BYTES_PER_WEIGHT,
      0,
    );
    return new Promise((resolve, reject) => {
      (isKeyed ? this.#keyed : this.#plain).add({ jobs, resolve, reject }, weight);
    });
  }

  /** Waits until everything that was taken in is written. */
  async idle(): Promise<void> {
    await Promise.all([this.#plain.idle(), this.#keyed.idle()]);
  }

  /** The hot path: everything is known here already, and no two jobs of the call can be in each other's way. */
  #prepareNow(specs: readonly JobSpec[]): Prepared[] | undefined {
    if (specs.length > 1 && specs.some(hasKey)) return undefined;
    const jobs: Prepared[] = [];
    for (const spec of specs) {
      const lane = this.#options.lanes.find(spec.queue ?? DEFAULT_QUEUE, spec.task);
      const task = this.#options.lanes.task(spec.task);
      if (lane === undefined || task === undefined || this.#problem(spec) !== undefined) {
        return undefined;
      }
      jobs.push(prepare(spec, lane, task));
    }
    return jobs;
  }

  async #prepare(specs: readonly JobSpec[], unread: readonly BadJob[]): Promise<Prepared[]> {
    const problems: BadJob[] = [...unread];
    const keys = new Map<string, number>();
    const tasks = new Map<string, TaskDefinition>();
    const unreadIndexes = new Set(unread.map(({ index }) => index));
    let index = 0;
    for (const spec of specs) {
      while (unreadIndexes.has(index)) index += 1;
      // Always looked at: a job that is bad itself must not hide that another one has its key.
      const twin = duplicateKey(keys, spec, index);
      const error = this.#problem(spec) ?? twin ?? (await this.#taskProblem(spec.task, tasks));
      if (error !== undefined) problems.push({ index, error });
      index += 1;
    }
    refuseBadJobs(problems, specs.length + unread.length);

    // Only now: a call that is refused leaves no queue behind.
    const jobs: Prepared[] = [];
    for (const spec of specs) {
      const task = tasks.get(spec.task);
      if (task === undefined) throw new Error(`task ${spec.task} was not checked`);
      jobs.push(
        prepare(
          spec,
          await this.#options.lanes.ensure(spec.queue ?? DEFAULT_QUEUE, spec.task),
          task,
        ),
      );
    }
    return jobs;
  }

  async #taskProblem(
    name: string,
    tasks: Map<string, TaskDefinition>,
  ): Promise<AppError | undefined> {
    if (tasks.has(name)) return undefined;
    try {
      tasks.set(name, await this.#options.lanes.requireTask(name));
      return undefined;
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "task_not_found")
        throw asUnavailable(error);
      return error;
    }
  }

  #problem(spec: JobSpec): AppError | undefined {
    const problem = checkSpec(spec);
    if (problem !== undefined) {
      return new AppError("invalid_argument", problem.message, { field: problem.field });
    }
    const bytes = spec.input.length;
    const { payloadBytesMax } = this.#options;
    if (bytes <= payloadBytesMax / 4) return undefined;
    const exact = Buffer.byteLength(spec.input);
    if (exact <= payloadBytesMax) return undefined;
    return new AppError(
      "payload_too_large",
      `input must be at most ${payloadBytesMax} bytes; received ${exact}`,
      { field: "input", bytes: exact, bytesMax: payloadBytesMax },
    );
  }

  async #writePlain(calls: readonly Call[]): Promise<void> {
    const jobs = calls.flatMap((call) => call.jobs);
    const slots = this.#reserve(jobs);
    const rows = jobs.map((job, index) => toNewJob(job, slots[index]));
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
        for (const call of calls) await this.#writePlain([call]);
        return;
      }
      for (const call of calls) call.reject(error);
      return;
    }
    this.#settle(calls, jobs, slots, states);
  }

  async #insert(rows: readonly NewJob[]): Promise<readonly string[]> {
    let isRepeat = false;
    return patiently(async () => {
      if (isRepeat) return enqueueAgain(this.#options.db, rows);
      isRepeat = true;
      return enqueuePlain(this.#options.db, rows);
    });
  }

  #settle(
    calls: readonly Call[],
    jobs: readonly Prepared[],
    slots: readonly (ReservedSlot | undefined)[],
    states: readonly string[],
  ): void {
    const deliveries = jobs.map((job, index) =>
      states[index] === "running" && slots[index] ? toFirstDelivery(job) : undefined,
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

  #announce(jobs: readonly Prepared[], states: readonly (string | undefined)[]): void {
    const queued = new Set<Lane>();
    jobs.forEach((job, index) => {
      if (states[index] === "queued") queued.add(job.lane);
      if (states[index] === "scheduled") this.#options.onScheduled(job.spec.delayMs);
    });
    if (queued.size > 0) this.#options.onQueued(queued);
    this.#options.onChanged(jobs.map((job) => job.id));
  }

  /** Slots for jobs that can start at once, the most urgent first. */
  #reserve(jobs: readonly Prepared[]): (ReservedSlot | undefined)[] {
    const slots: (ReservedSlot | undefined)[] = Array.from({ length: jobs.length });
    const first = jobs[0]?.spec.priority ?? 0;
    const isMixed = jobs.some((job) => (job.spec.priority ?? 0) !== first);
    const order = isMixed
      ? [...jobs.keys()].sort((a, b) => priorityOf(jobs[b]) - priorityOf(jobs[a]) || a - b)
      : jobs.keys();
    for (const index of order) {
      const job = jobs[index];
      if (job === undefined || job.spec.delayMs !== undefined || job.spec.runAt !== undefined)
        continue;
      slots[index] = this.#options.workers.reserveFor(job.lane);
    }
    return slots;
  }

  /** Single jobs with keys share a transaction; calls with the same key take turns. */
  async #writeKeyed(calls: readonly Call[]): Promise<void> {
    let rest = calls;
    while (rest.length > 0) {
      const keys = new Set<string>();
      const now: Call[] = [];
      const later: Call[] = [];
      for (const call of rest) {
        const { idempotencyKey, uniqueKey } = call.jobs[0]?.spec ?? {};
        const own = [`i${idempotencyKey ?? ""}`, `u${uniqueKey ?? ""}`].filter(
          (key) => key.length > 1,
        );
        (own.some((key) => keys.has(key)) ? later : now).push(call);
        for (const key of own) keys.add(key);
      }
      await this.#writeDistinct(now);
      rest = later;
    }
  }

  async #writeDistinct(calls: readonly Call[]): Promise<void> {
    const jobs = calls.flatMap((call) => call.jobs);
    try {
      const results = await this.#enqueueKeyed(jobs, false);
      this.#announce(
        jobs,
        results.map((result) => (result.kind === "accepted" ? result.state : undefined)),
      );
      calls.forEach((call, index) => {
        const [job] = call.jobs;
        const result = results[index];
        if (job === undefined || result === undefined) throw new Error("a keyed call has one job");
        if (isRefusal(result)) call.reject(refusal(job, result));
        else call.resolve([toSubmitResult(job, result)]);
      });
    } catch (error) {
      if (isDataError(error) && calls.length > 1) {
        for (const call of calls) await this.#writeDistinct([call]);
        return;
      }
      for (const call of calls) call.reject(error);
    }
  }

  async #submitKeyedBulk(jobs: readonly Prepared[]): Promise<readonly SubmitResult[]> {
    const results = await this.#enqueueKeyed(jobs, true);
    const problems = results.flatMap((result, index) => {
      const job = jobs[index];
      if (job === undefined || !isRefusal(result)) return [];
      return [{ index, error: refusal(job, result) }];
    });
    refuseBadJobs(problems, jobs.length);
    this.#announce(
      jobs,
      results.map((result) => (result.kind === "accepted" ? result.state : undefined)),
    );
    return jobs.map((job, index) => toSubmitResult(job, results[index]));
  }

  async #enqueueKeyed(
    jobs: readonly Prepared[],
    isAllOrNone: boolean,
  ): Promise<readonly EnqueueResult[]> {
    const items: EnqueueItem[] = jobs.map((job) => ({
      job: toNewJob(job, undefined),
      idempotency:
        job.spec.idempotencyKey === undefined
          ? undefined
          : { key: job.spec.idempotencyKey, fingerprint: fingerprint(job.spec) },
      onConflict: job.spec.onConflict === "reject" ? "reject" : "return_existing",
    }));
    const { db, idempotencyMs: keepMs } = this.#options;
    let isRepeat = false;
    return patiently(() => {
      const results = enqueueKeyed(db, NAMESPACE_ID, items, { keepMs, isAllOrNone, isRepeat });
      isRepeat = true;
      return results;
    });
  }
}

const DEFAULT_QUEUE = "default";
/** So many payload characters weigh as much as one job. */
const BYTES_PER_WEIGHT = BATCH_BYTES_MAX / INTAKE_BATCH_MAX;

function hasKey(spec: JobSpec): boolean {
  return spec.idempotencyKey !== undefined || spec.uniqueKey !== undefined;
}

function duplicateKey(
  keys: Map<string, number>,
  spec: JobSpec,
  index: number,
): AppError | undefined {
  let twin: AppError | undefined;
  for (const [field, key] of [
    ["idempotencyKey", spec.idempotencyKey],
    ["uniqueKey", spec.uniqueKey],
  ] as const) {
    if (key === undefined) continue;
    const before = keys.get(`${field} ${key}`);
    if (before === undefined) {
      keys.set(`${field} ${key}`, index);
      continue;
    }
    twin ??= new AppError(
      "invalid_argument",
      `${field} ${JSON.stringify(key)} stands at index ${before} already; keys must differ within one call`,
      { field },
    );
  }
  return twin;
}

function prepare(spec: JobSpec, lane: Lane, task: TaskDefinition): Prepared {
  const now = Date.now();
  return {
    id: newJobId(now),
    lane,
    spec,
    task,
    maxAttempts: maxAttemptsOf(spec, task),
    extra: extraOf(spec, task),
  };
}

function extraOf(spec: JobSpec, task: TaskDefinition): NewJobExtra | undefined {
  const extra: NewJobExtra = {
    delayMs: spec.delayMs || undefined,
    runAt: spec.runAt,
    queueTimeoutMs: (spec.queueTimeoutMs ?? task.queueTimeoutMs) || undefined,
    deadlineMs: (spec.deadlineMs ?? task.deadlineMs) || undefined,
    inputContentType: spec.inputContentType,
    uniqueKey: spec.uniqueKey === undefined ? undefined : `${NAMESPACE_ID}:${spec.uniqueKey}`,
    tags: spec.tags?.length ? spec.tags : undefined,
    options: jobOptions(spec),
  };
  return Object.values(extra).some((value) => value !== undefined) ? extra : undefined;
}

function toNewJob(job: Prepared, slot: ReservedSlot | undefined): NewJob {
  return {
    id: job.id,
    laneId: job.lane.id,
    priority: job.spec.priority ?? 0,
    maxAttempts: job.maxAttempts,
    input: job.spec.input,
    workerId: slot?.session.id,
    extra: job.extra,
  };
}

function toFirstDelivery(job: Prepared): JobDelivery {
  return {
    id: job.id,
    attempt: 1,
    lane: job.lane,
    input: job.spec.input,
    inputContentType: job.spec.inputContentType,
    priority: job.spec.priority ?? 0,
    maxAttempts: job.maxAttempts,
    failureCount: 0,
    lostCount: 0,
    createdAt: new Date(),
    tags: job.spec.tags ?? [],
    options: job.extra?.options,
    deadlineInMs: job.extra?.deadlineMs,
    isCancelRequested: false,
    leasedAgoMs: 0,
  };
}

function toSubmitResult(job: Prepared, result: EnqueueResult | undefined): SubmitResult {
  return result?.kind === "duplicate"
    ? { jobId: result.jobId, isDuplicate: true, state: result.state ?? "queued" }
    : {
        jobId: job.id,
        isDuplicate: false,
        state: result?.kind === "accepted" ? result.state : "queued",
      };
}

function refusal(job: Prepared, result: EnqueueResult): AppError {
  const jobId = "jobId" in result ? result.jobId : "";
  return result.kind === "idempotency_conflict"
    ? new AppError(
        "idempotency_conflict",
        `The idempotency key ${JSON.stringify(job.spec.idempotencyKey)} belongs to job ${jobId}, which was submitted with ` +
          "another task, input or options. Use another key, or repeat exactly the same job.",
        { jobId },
      )
    : new AppError(
        "unique_conflict",
        `The unique key ${JSON.stringify(job.spec.uniqueKey)} is held by unfinished job ${jobId}.`,
        { jobId },
      );
}

function fingerprint(spec: JobSpec): string {
  const { idempotencyKey: _key, retry, ...rest } = spec;
  // What is left away means the same as its default.
  const filled = {
    ...rest,
    queue: spec.queue ?? DEFAULT_QUEUE,
    priority: spec.priority ?? 0,
    retry: retry && [retry.strategy, retry.baseMs, retry.maxMs, retry.jitter],
  };
  const sorted = Object.entries(filled)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(sorted)).digest("base64url");
}

function priorityOf(job: Prepared | undefined): number {
  return job?.spec.priority ?? 0;
}
