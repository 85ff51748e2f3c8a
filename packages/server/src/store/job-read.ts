/** Statements that look at jobs. */
import { isFinal, LIVE_STATES, type JobError, type JobState, type Outcome } from "../domain/job.ts";
import type { JobOptions } from "../domain/check-spec.ts";
import type { AttemptView, JobFilter, JobView, LogLevel, LogLineView } from "../domain/views.ts";
import type { Db } from "./db.ts";
import { filterConditions } from "./job-change.ts";
import { running, runs } from "./lease-batch.ts";
import { sql, type Statement } from "./sql.ts";

interface JobRow {
  readonly id: string;
  readonly task: string;
  readonly queue: string;
  readonly state: JobState;
  readonly priority: number;
  readonly attempt: number;
  readonly max_attempts: number;
  readonly failure_count: number;
  readonly input: string | null;
  readonly input_content_type: string | null;
  readonly result: string | null;
  readonly error: JobError | null;
  readonly tags: readonly string[] | null;
  readonly options: JobOptions | null;
  readonly created_at: Date;
  readonly run_at: Date | null;
  readonly started_at: Date | null;
  readonly finished_at: Date | null;
  readonly progress: string | null;
  readonly cancel_requested_at: Date | null;
  readonly cancel_reason: string | null;
  readonly unique_key: string | null;
  readonly worker: string | null;
}

function columns(isLive: boolean, includePayloads: boolean): Statement {
  const places = isLive
    ? sql`job.run_at, job.leased_at as started_at, null::timestamptz as finished_at, null::text as result`
    : sql`null::timestamptz as run_at, job.started_at, job.finished_at,
          ${includePayloads ? sql`job.result` : sql`null::text`} as result`;
  return sql`
    job.id, job.lane_id, job.worker_id, job.state, job.priority, job.attempt, job.max_attempts, job.failure_count,
    ${includePayloads ? sql`job.input` : sql`null::text`} as input, job.input_content_type,
    job.error, job.tags, job.options, job.created_at, job.progress::text, job.cancel_requested_at, job.cancel_reason,
    job.unique_key, ${places}`;
}

function withNames(jobs: Statement): Statement {
  return sql`
    select job.*, lane.queue, lane.task, worker.name as worker
      from (${jobs}) as job
      join baton.lane on lane.id = job.lane_id
      left join baton.worker on worker.id = job.worker_id`;
}

/** One job with its payloads, live or finished. */
export async function jobGet(db: Db, jobId: string): Promise<JobView | undefined> {
  const live = sql`select ${columns(true, true)} from baton.job where job.id = ${jobId}`;
  const [row] = await db.query<JobRow>(withNames(live), "job_get_live");
  if (row !== undefined) return toJob(row);
  // In one snapshot with the live ones: a job may have been redriven since the first look.
  const [moved] = await db.query<JobRow>(
    withNames(sql`
      ${live}
      union all
      select ${columns(false, true)} from baton.job_finished as job where job.id = ${jobId}`),
    "job_get",
  );
  return moved && toJob(moved);
}

/** What changes while a job is watched. */
export type JobGlance = Pick<JobView, "state" | "attempt" | "progress" | "cancelRequestedAt">;

/** One job's changing fields, live or finished: small, however large its payloads are. */
export async function jobGlance(db: Db, jobId: string): Promise<JobGlance | undefined> {
  const rows = await db.query<{
    state: JobState;
    attempt: number;
    progress: string | null;
    cancel_requested_at: Date | null;
  }>(
    sql`
    select state, attempt, progress::text, cancel_requested_at from baton.job where id = ${jobId}
    union all
    select state, attempt, progress::text, cancel_requested_at from baton.job_finished where id = ${jobId}`,
    "job_glance",
  );
  const [row] = rows;
  return (
    row && {
      state: row.state,
      attempt: row.attempt,
      progress: row.progress ?? undefined,
      cancelRequestedAt: row.cancel_requested_at ?? undefined,
    }
  );
}

export interface JobListOptions {
  readonly filter: JobFilter;
  readonly limit: number;
  /** Only jobs whose id sorts before this one. */
  readonly beforeId: string | undefined;
  readonly includePayloads: boolean;
}

/** Jobs that match, by id, newest first. */
export async function jobList(db: Db, options: JobListOptions): Promise<readonly JobView[]> {
  const { filter, limit, beforeId, includePayloads } = options;
  const states =
    filter.states === undefined || filter.states.length === 0 ? undefined : filter.states;
  const below = beforeId === undefined ? sql`` : sql`and job.id < ${beforeId}`;
  const inState = states === undefined ? sql`` : sql`and ${isIn(states)}`;
  const page = (table: Statement, isLive: boolean): Statement => sql`
    (select ${columns(isLive, includePayloads)}
       from ${table} as job
      where ${filterConditions(filter)} ${inState} ${below}
      order by job.id desc
      limit ${limit})`;
  const wants = (candidates: readonly JobState[]): boolean =>
    states === undefined || states.some((state) => candidates.includes(state));
  const pages = [
    ...(wants(LIVE_STATES) ? [page(sql`baton.job`, true)] : []),
    ...(wants(["succeeded", "cancelled"]) ? [page(sql`baton.job_ended`, false)] : []),
    ...(wants(["dead"]) ? [page(sql`baton.job_dead`, false)] : []),
  ];
  const all = pages.reduce((one, other) => sql`${one} union all ${other}`);
  const rows = await db.query<JobRow>(sql`
    ${withNames(all)}
     order by job.id desc
     limit ${limit}`);
  return rows.map(toJob);
}

/** The condition that a row called `job` is in one of these states, at least one. */
function isIn(states: readonly JobState[]): Statement {
  // Among many that are queued they are found by their batches.
  if (states.every((state) => state === "running")) return runs;
  return sql`job.state = any(${states}::baton.job_state[])`;
}

/** Of these ids, the jobs that match a filter's tag and instants. */
export async function jobMatching(
  db: Db,
  ids: readonly string[],
  filter: JobFilter,
): Promise<readonly string[]> {
  const rows = await db.query<{ id: string }>(sql`
    select id from baton.job
     where id = any(${ids}::uuid[]) and ${filterConditions(filter)}
    union all
    select id from baton.job_finished as job
     where id = any(${ids}::uuid[]) and ${filterConditions(filter)}`);
  return rows.map((row) => row.id);
}

interface AttemptRow {
  readonly attempt: number;
  readonly outcome: Outcome | null;
  readonly worker: string | null;
  readonly leased_at: Date | null;
  readonly started_at: Date | null;
  readonly finished_at: Date | null;
  readonly error: JobError | null;
}

/** The latest `limit` attempts of a job, oldest first, the running or last one included. */
export async function attemptList(
  db: Db,
  jobId: string,
  limit: number,
): Promise<readonly AttemptView[]> {
  const rows = await db.query<AttemptRow>(sql`
    select attempt.*, worker.name as worker
      from (
        select attempt, outcome, worker_id, leased_at, started_at, finished_at, error
          from baton.attempt
         where job_id = ${jobId}
        union all
        select attempt, null, worker_id, leased_at, null, null, null
          from baton.job
         where id = ${jobId} and state = 'running'
        union all
        select attempt, outcome, worker_id, leased_at, started_at, finished_at, error
          from baton.job_finished
         where id = ${jobId} and outcome is not null
      ) as attempt
      left join baton.worker on worker.id = attempt.worker_id
     order by attempt.attempt desc
     limit ${limit}`);
  return rows.toReversed().map((row) => ({
    attempt: row.attempt,
    outcome: row.outcome ?? undefined,
    worker: row.worker ?? undefined,
    leasedAt: row.leased_at ?? undefined,
    startedAt: row.started_at ?? undefined,
    finishedAt: row.finished_at ?? undefined,
    error: row.outcome === "succeeded" ? undefined : (row.error ?? undefined),
  }));
}

interface LogRow {
  readonly number: number;
  readonly attempt: number;
  readonly at: Date;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: string | null;
}

/** Log lines of a job in the order of their arrival. @param attempt 0: all attempts */
export async function logList(
  db: Db,
  options: {
    readonly jobId: string;
    readonly attempt: number;
    readonly afterNumber: number;
    readonly limit: number;
  },
): Promise<readonly (LogLineView & { readonly number: number })[]> {
  const rows = await db.query<LogRow>(sql`
    select number, attempt, at, level, message, fields::text
      from baton.log_line
     where job_id = ${options.jobId}
       and (${options.attempt}::integer = 0 or attempt = ${options.attempt})
       and number > ${options.afterNumber}::bigint
     order by number
     limit ${options.limit}`);
  return rows.map(({ fields, ...line }) => ({ ...line, fields: fields ?? undefined }));
}

/** Jobs by state, counted up to `most` and no further. */
export async function jobCounts(
  db: Db,
  most: number,
): Promise<Readonly<Record<"pending" | "running" | "dead", number>>> {
  const rows = await db.query<{ pending: number; running: number; dead: number }>(sql`
    select (select count(*) from (
              select from baton.job where state in ('waiting', 'scheduled', 'queued') limit ${most}) as pending) as pending,
           (select count(*) from (
              select from ${running} limit ${most}) as running) as running,
           (select count(*) from (
              select from baton.job_dead limit ${most}) as dead) as dead`);
  return rows[0] ?? { pending: 0, running: 0, dead: 0 };
}

function toJob(row: JobRow): JobView {
  return {
    id: row.id,
    task: row.task,
    queue: row.queue,
    state: row.state,
    priority: row.priority,
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    failureCount: row.failure_count,
    input: row.input ?? undefined,
    inputContentType: row.input_content_type ?? undefined,
    result: row.result ?? undefined,
    error: row.state === "succeeded" ? undefined : (row.error ?? undefined),
    tags: row.tags ?? [],
    createdAt: row.created_at,
    runAt: row.run_at ?? undefined,
    startedAt:
      row.state === "running" || isFinal(row.state) ? (row.started_at ?? undefined) : undefined,
    finishedAt: row.finished_at ?? undefined,
    progress: row.progress ?? undefined,
    cancelRequestedAt: row.cancel_requested_at ?? undefined,
    cancelReason: row.cancel_reason ?? undefined,
    // Kept with its namespace in front.
    uniqueKey: row.unique_key?.replace(/^\d+:/, ""),
    worker: row.worker ?? undefined,
    attemptTimeoutMs: row.options?.attemptTimeoutMs,
  };
}
