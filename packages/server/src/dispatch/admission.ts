/** The first look at a call: checks its specs, and finds their tasks and lanes. */
import { checkSpec, jobOptions, maxAttemptsOf } from "../domain/check-spec.ts";
import { newJobId } from "../domain/job-id.ts";
import type { JobSpec, SubmitResult } from "../domain/job-spec.ts";
import { BULK_JOBS_MAX } from "../domain/limits.ts";
import type { TaskDefinition } from "../domain/views.ts";
import { AppError, refuseBadJobs, type BadJob } from "../errors.ts";
import type { NewJob, NewJobExtra } from "../store/job-enqueue.ts";
import type { LaneName } from "../store/lane.ts";
import type { Lane } from "./lane.ts";
import { DEFAULT_QUEUE, NAMESPACE_ID, type Lanes } from "./lanes.ts";

export interface AdmissionOptions {
  readonly lanes: Lanes;
  readonly payloadBytesMax: number;
}

/** A checked job of a call. */
export interface AdmittedJob {
  readonly id: string;
  readonly lane: Lane;
  readonly priority: number;
  readonly input: string;
  readonly maxAttempts: number;
  readonly extra: NewJobExtra | undefined;
  /** All that was asked for, of a job that has keys. */
  readonly keyed: JobSpec | undefined;
}

/** The jobs of one call on their way into the table, and who waits for what becomes of them. */
export interface EnqueueCall {
  readonly jobs: readonly AdmittedJob[];
  readonly resolve: (results: readonly SubmitResult[]) => void;
  readonly reject: (error: unknown) => void;
}

export class Admission {
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /**
   * Checks 1 to BULK_JOBS_MAX specs, all or none.
   *
   * @param unread jobs of the same call that its door could not read
   * @throws AppError of the one job, or bulk_rejected with every bad one; unavailable
   */
  async admit(
    specs: readonly JobSpec[],
    unread: readonly BadJob[],
  ): Promise<readonly AdmittedJob[]> {
    const count = specs.length + unread.length;
    if (count === 0 || count > BULK_JOBS_MAX) {
      throw new AppError(
        "invalid_argument",
        `One call takes 1 to ${BULK_JOBS_MAX} jobs; received ${count}.`,
      );
    }
    const known = unread.length === 0 ? this.#admitNow(specs) : undefined;
    return known ?? this.#admitSlowly(specs, unread);
  }

  /** The hot path: everything is known here already, and no two jobs of the call can be in each other's way. */
  #admitNow(specs: readonly JobSpec[]): AdmittedJob[] | undefined {
    if (specs.length > 1 && specs.some(hasKey)) return undefined;
    const jobs: AdmittedJob[] = [];
    for (const spec of specs) {
      const lane = this.#options.lanes.find(spec.queue ?? DEFAULT_QUEUE, spec.task);
      const task = this.#options.lanes.task(spec.task);
      if (lane === undefined || task === undefined || this.#problem(spec) !== undefined) {
        return undefined;
      }
      jobs.push(admitted(spec, lane, task));
    }
    return jobs;
  }

  async #admitSlowly(specs: readonly JobSpec[], unread: readonly BadJob[]): Promise<AdmittedJob[]> {
    const { lanes } = this.#options;
    const problems: BadJob[] = [...unread];
    const keys = new Map<string, number>();
    const sound = numbered(specs, unread).filter(({ spec, index }) => {
      // Always looked at: a job that is bad itself must not hide that another one has its key.
      const twin = duplicateKey(keys, spec, index);
      const error = this.#problem(spec) ?? twin;
      if (error !== undefined) problems.push({ index, error });
      return error === undefined;
    });

    const unknownTasks = await lanes.requireTasks(new Set(sound.map(({ spec }) => spec.task)));
    const runnable = sound.filter(({ spec, index }) => {
      const error = unknownTasks.get(spec.task);
      if (error !== undefined) problems.push({ index, error });
      return error === undefined;
    });

    const names = runnable.map(({ spec }) => laneNameOf(spec));
    // A call that is refused leaves no queue behind.
    const roomless = await (problems.length === 0 ? lanes.ensureAll(names) : lanes.refusals(names));
    runnable.forEach(({ index }, place) => {
      const error = roomless[place];
      if (error !== undefined) problems.push({ index, error });
    });
    refuseBadJobs(problems, specs.length + unread.length);
    return runnable.map(({ spec }) => this.#admitted(spec));
  }

  #admitted(spec: JobSpec): AdmittedJob {
    const { queue, task: taskName } = laneNameOf(spec);
    const lane = this.#options.lanes.find(queue, taskName);
    const task = this.#options.lanes.task(taskName);
    if (lane === undefined || task === undefined) throw new Error(`${taskName} was not looked up`);
    return admitted(spec, lane, task);
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
}

/** Whether a job may be in another one's way. */
export function hasKey(spec: JobSpec): boolean {
  return spec.idempotencyKey !== undefined || spec.uniqueKey !== undefined;
}

/** Whether a job may have to be scheduled. */
export function isDelayed({ extra }: AdmittedJob): boolean {
  return extra !== undefined && (extra.delayMs ?? extra.runAt) !== undefined;
}

/** The row of an admitted job. @param workerId of the worker with a slot for it */
export function toNewJob(job: AdmittedJob, workerId: number | undefined): NewJob {
  return {
    id: job.id,
    laneId: job.lane.id,
    priority: job.priority,
    maxAttempts: job.maxAttempts,
    input: job.input,
    workerId,
    extra: job.extra,
  };
}

/** The specs of a call with their places in it; those between them could not be read. */
function numbered(
  specs: readonly JobSpec[],
  unread: readonly BadJob[],
): readonly { readonly spec: JobSpec; readonly index: number }[] {
  const unreadIndexes = new Set(unread.map(({ index }) => index));
  let index = -1;
  return specs.map((spec) => {
    do index += 1;
    while (unreadIndexes.has(index));
    return { spec, index };
  });
}

function laneNameOf(spec: JobSpec): LaneName {
  return { queue: spec.queue ?? DEFAULT_QUEUE, task: spec.task };
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

function admitted(spec: JobSpec, lane: Lane, task: TaskDefinition): AdmittedJob {
  return {
    id: newJobId(Date.now()),
    lane,
    priority: spec.priority ?? 0,
    input: spec.input,
    maxAttempts: maxAttemptsOf(spec, task),
    extra: extraOf(spec, task),
    keyed: hasKey(spec) ? spec : undefined,
  };
}

function extraOf(spec: JobSpec, task: TaskDefinition): NewJobExtra | undefined {
  const { runAt, inputContentType, uniqueKey } = spec;
  const delayMs = spec.delayMs || undefined;
  const queueTimeoutMs = (spec.queueTimeoutMs ?? task.queueTimeoutMs) || undefined;
  const deadlineMs = (spec.deadlineMs ?? task.deadlineMs) || undefined;
  const tags = spec.tags?.length ? spec.tags : undefined;
  const options = jobOptions(spec);
  const isPlain =
    (delayMs ?? runAt ?? queueTimeoutMs ?? deadlineMs ?? inputContentType) === undefined &&
    (uniqueKey ?? tags ?? options) === undefined;
  if (isPlain) return undefined;
  return {
    delayMs,
    runAt,
    queueTimeoutMs,
    deadlineMs,
    inputContentType,
    uniqueKey: uniqueKey === undefined ? undefined : `${NAMESPACE_ID}:${uniqueKey}`,
    tags,
    options,
  };
}
