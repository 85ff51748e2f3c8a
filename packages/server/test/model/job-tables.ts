/** The tables as they are, to be compared with the model of what they should be. */
import assert from "node:assert/strict";

import { canTransition, type JobState, type Outcome } from "../../src/domain/job.ts";
import type { Database } from "../../src/store/db.ts";
import { sql } from "../../src/store/sql.ts";
import type { NewWorker } from "../../src/store/worker.ts";
import type { StoppedClock } from "../a-clock.ts";
import type { JobModel } from "./job-model.ts";

export const NAMESPACE = 1;
/** By number; each run has its own. */
export const QUEUES = ["first", "second"] as const;
export const WORKERS = 2;
/** How long a worker keeps its jobs without contact. */
export const LEASE_MS = 8_000;
/** Between two commands: what one of them plans in whole seconds is never due together with what another one plans. */
export const STEP_MS = 20;

export interface TablesParts {
  readonly db: Database;
  readonly clock: StoppedClock;
  readonly queueNames: readonly string[];
  readonly laneIds: readonly number[];
  readonly newWorkers: readonly NewWorker[];
  readonly workerIds: readonly number[];
}

interface JobRow {
  readonly id: string;
  readonly place: "live" | "ended" | "dead";
  readonly state: JobState;
  readonly attempt: number;
  readonly failure_count: number;
  readonly lost_count: number;
  readonly worker_id: number | null;
  readonly run_at: Date | null;
  readonly start_by: Date | null;
  readonly finish_by: Date | null;
  readonly is_cancel_requested: boolean;
}

interface EventRow {
  readonly sequence: number;
  readonly state: JobState;
  readonly job_ids: readonly string[];
  readonly attempts: readonly number[];
}

interface RecordedRow {
  readonly fence: string;
  readonly outcome: Outcome;
  /** All that is kept of it. */
  readonly whole: string;
}

export class Tables implements TablesParts {
  readonly db: Database;
  readonly clock: StoppedClock;
  readonly queueNames: readonly string[];
  readonly laneIds: readonly number[];
  readonly newWorkers: readonly NewWorker[];
  readonly workerIds: readonly number[];
  #lastSequence: number;
  #recorded: ReadonlyMap<string, string> = new Map();

  /** @param lastSequence of the events that were there before */
  constructor(parts: TablesParts, lastSequence: number) {
    this.db = parts.db;
    this.clock = parts.clock;
    this.queueNames = parts.queueNames;
    this.laneIds = parts.laneIds;
    this.newWorkers = parts.newWorkers;
    this.workerIds = parts.workerIds;
    this.#lastSequence = lastSequence;
  }

  /** Lets something happen to both, and finds every difference between them. */
  async compareAfter(model: JobModel, happen: () => Promise<void>): Promise<void> {
    const before = statesOf(model);
    await happen();
    const [jobs, unheld, ready, recorded, events] = await Promise.all([
      this.#jobs(),
      this.#runningOutsideBatches(),
      this.#ready(),
      this.#recordedNow(),
      this.#newEvents(),
    ]);
    assert.deepEqual(jobs.map(factsOfRow), this.#factsOf(model), "jobs");
    assert.deepEqual(unheld, [], "running jobs that nobody would take back");
    assert.deepEqual(
      ready.map((row) => row.id),
      model.ready([0, 1]).map((job) => job.id),
      "ready order",
    );
    this.#compareRecorded(recorded, model);
    this.#compareEvents(events, before, model);
  }

  #compareRecorded(rows: readonly RecordedRow[], model: JobModel): void {
    assert.deepEqual(
      rows.map((row) => `${row.fence} ${row.outcome}`),
      [...model.recorded].map((entry) => entry.join(" ")).sort(),
      "recorded attempts",
    );
    const now = new Map(rows.map((row) => [row.fence, row.whole]));
    for (const [fence, whole] of this.#recorded)
      assert.equal(now.get(fence), whole, "kept as it was");
    this.#recorded = now;
  }

  #compareEvents(
    events: readonly EventRow[],
    before: ReadonlyMap<string, ModelState>,
    model: JobModel,
  ): void {
    const after = [...statesOf(model)];
    const changed = after.filter(([id, now]) => now.text !== before.get(id)?.text);
    for (const [id, now] of changed) {
      const was = before.get(id)?.state;
      const isAllowed =
        was === undefined ? FIRST_STATES.includes(now.state) : canTransition(was, now.state);
      assert.ok(isAllowed, `${was} → ${now.state}`);
    }
    const told = events.flatMap((row) =>
      row.job_ids.map((id, index) => `${id} ${row.state} ${row.attempts[index]}`),
    );
    assert.deepEqual(told.sort(), changed.map(([id, now]) => `${id} ${now.text}`).sort(), "events");
    for (const { sequence } of events) {
      assert.ok(sequence > this.#lastSequence, "a sequence that grows");
      this.#lastSequence = sequence;
    }
  }

  #factsOf(model: JobModel) {
    return [...model.jobs.values()]
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .map((job) => {
        const isOver = PLACES[job.state] !== "live";
        return {
          id: job.id,
          place: PLACES[job.state],
          state: job.state,
          attempt: job.attempt,
          failures: job.failureCount,
          losses: job.lostCount,
          // Of those that are over it tells of the last attempt, which is compared there.
          worker: isOver ? undefined : this.workerIds[job.worker ?? -1],
          runAt: isOver ? undefined : job.runAt,
          startBy: isOver ? undefined : job.startBy,
          finishBy: job.finishBy,
          isCancelRequested: isOver ? undefined : job.isCancelRequested,
        };
      });
  }

  #jobs(): Promise<readonly JobRow[]> {
    return this.db.query<JobRow>(
      sql`
      select id, 'live' as place, state, attempt, failure_count, lost_count, worker_id, run_at, start_by, finish_by,
             cancel_requested_at is not null as is_cancel_requested
        from baton.job
      union all
      select id, 'ended', state, attempt, failure_count, lost_count, null, null, null, finish_by, null from baton.job_ended
      union all
      select id, 'dead', state, attempt, failure_count, lost_count, null, null, null, finish_by, null from baton.job_dead
      order by id`,
      "model_jobs",
    );
  }

  #runningOutsideBatches(): Promise<readonly { readonly id: string }[]> {
    return this.db.query(
      sql`
      select id from baton.job
       where state = 'running'
         and not exists (select from baton.lease_batch as batch
                          where batch.worker_id = job.worker_id and job.id = any(batch.job_ids))`,
      "model_unheld",
    );
  }

  #ready(): Promise<readonly { readonly id: string }[]> {
    return this.db.query(
      sql`select id from baton.job where state = 'queued' order by priority desc, queue_position`,
      "model_ready",
    );
  }

  #recordedNow(): Promise<readonly RecordedRow[]> {
    return this.db.query<RecordedRow>(
      sql`
      select job_id || ' ' || attempt as fence, outcome, recorded::text as whole
        from (select job_id, attempt, outcome, worker_id, leased_at, started_at, finished_at, error::text
                from baton.attempt
              union all
              select id, attempt, outcome, worker_id, leased_at, started_at, finished_at, error::text
                from baton.job_finished
               where outcome is not null) as recorded
       order by (job_id || ' ' || attempt) collate "C"`,
      "model_recorded",
    );
  }

  #newEvents(): Promise<readonly EventRow[]> {
    return this.db.query<EventRow>(
      sql`
      select sequence, state, job_ids, attempts
        from baton.event
       where sequence > ${this.#lastSequence}::bigint
       order by sequence`,
      "model_events",
    );
  }
}

const FIRST_STATES: readonly JobState[] = ["scheduled", "queued", "running"];

const PLACES: Readonly<Record<JobState, JobRow["place"]>> = {
  waiting: "live",
  scheduled: "live",
  queued: "live",
  running: "live",
  succeeded: "ended",
  cancelled: "ended",
  dead: "dead",
};

interface ModelState {
  readonly state: JobState;
  readonly text: string;
}

function statesOf(model: JobModel): ReadonlyMap<string, ModelState> {
  return new Map(
    [...model.jobs.values()].map(({ id, state, attempt }) => [
      id,
      { state, text: `${state} ${attempt}` },
    ]),
  );
}

function factsOfRow(row: JobRow) {
  const isOver = row.place !== "live";
  return {
    id: row.id,
    place: row.place,
    state: row.state,
    attempt: row.attempt,
    failures: row.failure_count,
    losses: row.lost_count,
    worker: row.worker_id ?? undefined,
    runAt: row.run_at?.getTime(),
    startBy: row.start_by?.getTime(),
    finishBy: row.finish_by?.getTime(),
    isCancelRequested: isOver ? undefined : row.is_cancel_requested,
  };
}
