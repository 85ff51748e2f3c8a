/**
 * Tells watchers what changed. One job is watched by looking at it again after each hint; hints come from this server's
 * own writes and, for those of others, from the event table. A filter is watched by following the event table.
 */
import { WATCHERS_PER_SERVER_MAX } from "../domain/limits.ts";
import { isFinal } from "../domain/job.ts";
import type { JobEventView, JobFilter, JobView } from "../domain/views.ts";
import { AppError, jobNotFound } from "../errors.ts";
import type { Database } from "../store/db.ts";
import { eventFloor, eventHorizon, eventList, type EventRow } from "../store/event.ts";
import { jobGet, jobGlance, jobMatching, type JobGlance } from "../store/job-read.ts";
import type { Lanes } from "./lanes.ts";
import { patiently } from "./patience.ts";

/** Events read by one statement. */
const PAGE_EVENTS = 200;

export interface WatchersOptions {
  readonly db: Database;
  readonly lanes: Lanes;
  /** A watched job is looked at again after so long, hint or not. */
  readonly pollMs: number;
  /** Whether other servers write events, too. */
  readonly hasOthers: () => boolean;
  readonly onError: (error: unknown) => void;
}

export class Watchers {
  readonly #options: WatchersOptions;
  readonly #jobs = new Map<string, Set<() => void>>();
  readonly #events = new Set<() => void>();
  #tail: Promise<void> | undefined;
  #wakeTail: (() => void) | undefined;
  #count = 0;
  #isStopped = false;

  constructor(options: WatchersOptions) {
    this.#options = options;
  }

  /** Hints that these jobs changed. */
  hint(jobIds: readonly string[]): void {
    if (this.#jobs.size > 0) {
      for (const jobId of jobIds) {
        for (const wake of this.#jobs.get(jobId) ?? []) wake();
      }
    }
    if (this.#events.size > 0) this.hintEvents();
  }

  /** Hints that there are new events. */
  hintEvents(): void {
    this.#wakeTail?.();
  }

  /** @see Operations.watchJob */
  async *watchJob(jobId: string, signal: AbortSignal): AsyncGenerator<JobView> {
    this.#enter();
    const { db } = this.#options;
    const hint = new Hint();
    const wakes = this.#jobs.get(jobId) ?? new Set();
    this.#jobs.set(jobId, wakes.add(hint.wake));
    void this.#follow();
    try {
      let shown = "";
      while (!signal.aborted && !this.#isStopped) {
        const glance = await patiently(db, () => jobGlance(db, jobId));
        // Its payloads are read only when there is news.
        if (glance === undefined || glanceText(glance) !== shown) {
          const job = await patiently(db, () => jobGet(db, jobId));
          if (job === undefined) throw jobNotFound(jobId);
          shown = glanceText(job);
          yield job;
          if (isFinal(job.state)) return;
        }
        await hint.wait(this.#options.pollMs, signal);
      }
      if (this.#isStopped) throw shuttingDown();
    } finally {
      wakes.delete(hint.wake);
      if (wakes.size === 0) this.#jobs.delete(jobId);
      this.#leave();
    }
  }

  /** @see Operations.watchEvents */
  async *watchEvents(
    filter: JobFilter,
    afterSequence: number | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<JobEventView> {
    this.#enter();
    const hint = new Hint();
    try {
      let position = await this.#start(afterSequence);
      this.#events.add(hint.wake);
      void this.#follow();
      while (!signal.aborted && !this.#isStopped) {
        const { events, lastSequence } = await this.#read(position);
        position = lastSequence;
        // Pulled page by page at the watcher's pace: nothing piles up for a slow one.
        yield* await this.#matching(events, filter);
        if (events.length === 0) await hint.wait(this.#options.pollMs, signal);
      }
      if (this.#isStopped) throw shuttingDown();
    } finally {
      this.#events.delete(hint.wake);
      this.#leave();
    }
  }

  /** Ends all watches; their callers reconnect elsewhere. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wakeTail?.();
    for (const wakes of this.#jobs.values()) for (const wake of wakes) wake();
    for (const wake of this.#events) wake();
    await this.#tail;
  }

  #enter(): void {
    if (this.#isStopped) throw shuttingDown();
    if (this.#count >= WATCHERS_PER_SERVER_MAX) {
      throw new AppError(
        "resource_exhausted",
        `This server serves ${WATCHERS_PER_SERVER_MAX} watches already. Close some, or use another server.`,
      );
    }
    this.#count += 1;
  }

  #leave(): void {
    this.#count -= 1;
    if (this.#count === 0) this.#wakeTail?.();
  }

  /** Where a watch begins. @throws AppError sequence_expired */
  async #start(afterSequence: number | undefined): Promise<number> {
    const { db } = this.#options;
    if (afterSequence === undefined) return patiently(db, () => eventHorizon(db));
    const floor = await patiently(db, () => eventFloor(db));
    // 0 asks for everything that is kept.
    if (afterSequence === 0 || afterSequence >= floor) return afterSequence;
    throw new AppError(
      "sequence_expired",
      `Events up to ${floor} are not kept any more, so what followed ${afterSequence} cannot be told without a gap. ` +
        "List the jobs to see where they stand, then watch without a sequence.",
      { afterSequence, floor },
    );
  }

  /** Follows the event table while anybody watches. */
  #follow(): Promise<void> {
    this.#tail ??= this.#followUntilIdle().finally(() => {
      this.#tail = undefined;
      this.#wakeTail = undefined;
    });
    return this.#tail;
  }

  async #followUntilIdle(): Promise<void> {
    const hint = new Hint();
    this.#wakeTail = hint.wake;
    let position = await this.#horizon();
    while (this.#count > 0 && !this.#isStopped) {
      if (this.#events.size === 0 && !this.#options.hasOthers()) {
        // Hints of this server are all there is. What is passed over here, a watched job's own poll finds.
        await hint.wait(TAIL_POLL_MS);
        position = await this.#horizon();
        continue;
      }
      const { events, lastSequence } = await this.#read(position).catch((error: unknown) => {
        this.#options.onError(error);
        return { events: [], lastSequence: position };
      });
      position = lastSequence;
      if (events.length > 0) {
        for (const row of events) {
          for (const jobId of row.job_ids) for (const wake of this.#jobs.get(jobId) ?? []) wake();
        }
        for (const wake of this.#events) wake();
      } else {
        await hint.wait(TAIL_POLL_MS);
      }
    }
  }

  #horizon(): Promise<number> {
    const { db } = this.#options;
    return patiently(db, () => eventHorizon(db), Number.POSITIVE_INFINITY);
  }

  async #read(
    position: number,
  ): Promise<{ readonly events: readonly EventRow[]; readonly lastSequence: number }> {
    const { db } = this.#options;
    const rows = await patiently(
      db,
      () => eventList(db, position, PAGE_EVENTS),
      Number.POSITIVE_INFINITY,
    );
    const last = rows.at(-1)?.sequence ?? position;
    if (rows.length < PAGE_EVENTS) return { events: rows, lastSequence: last };
    // Rows of one sequence stay together: the last ones may go on behind the page.
    const whole = rows.filter((row) => row.sequence < last);
    const events = whole.length > 0 ? whole : rows;
    return { events, lastSequence: events.at(-1)?.sequence ?? last };
  }

  async #matching(rows: readonly EventRow[], filter: JobFilter): Promise<readonly JobEventView[]> {
    const wanted = rows.filter(
      (row) => !filter.states?.length || filter.states.includes(row.state),
    );
    const laneIds = [...new Set(wanted.flatMap((row) => row.lane_ids))];
    const { db } = this.#options;
    const resolved = await patiently(db, () => this.#options.lanes.resolve(laneIds));
    const lanes = new Map(resolved.map((lane) => [lane.id, lane]));
    const events = wanted.flatMap((row) =>
      row.job_ids.flatMap((jobId, index): JobEventView[] => {
        const lane = lanes.get(row.lane_ids[index] ?? -1);
        if (lane === undefined) return [];
        if (filter.queue !== undefined && filter.queue !== lane.queue) return [];
        if (filter.task !== undefined && filter.task !== lane.task) return [];
        return [
          {
            sequence: row.sequence,
            at: row.at,
            jobId,
            task: lane.task,
            queue: lane.queue,
            state: row.state,
            attempt: row.attempts[index] ?? 0,
          },
        ];
      }),
    );
    const { tag, createdAfter, createdBefore } = filter;
    if (tag === undefined && createdAfter === undefined && createdBefore === undefined) {
      return resumable(events);
    }
    const ids = [...new Set(events.map((event) => event.jobId))];
    const matching = new Set(await patiently(db, () => jobMatching(db, ids, filter)));
    return resumable(events.filter((event) => matching.has(event.jobId)));
  }
}

/**
 * One batch has one sequence. Whoever is cut off in its middle must get all of it again, so only its last event carries
 * the sequence itself; those before carry the position just below.
 */
function resumable(events: readonly JobEventView[]): readonly JobEventView[] {
  return events.map((event, index) =>
    events[index + 1]?.sequence === event.sequence
      ? { ...event, sequence: event.sequence - 1 }
      : event,
  );
}

/** Behind the hints of other servers. */
const TAIL_POLL_MS = 500;

/** Something to wait for that may have happened already. */
class Hint {
  #isWoken = false;
  #resolve: (() => void) | undefined;

  readonly wake = (): void => {
    this.#isWoken = true;
    this.#resolve?.();
  };

  async wait(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    if (!this.#isWoken && signal?.aborted !== true) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, timeoutMs);
        function done(): void {
          clearTimeout(timer);
          signal?.removeEventListener("abort", done);
          resolve();
        }
        this.#resolve = done;
        signal?.addEventListener("abort", done, { once: true });
      });
      this.#resolve = undefined;
    }
    this.#isWoken = false;
  }
}

/** What a watcher of a job is told the changes of. */
function glanceText({ state, attempt, progress, cancelRequestedAt }: JobGlance): string {
  return JSON.stringify([state, attempt, progress, cancelRequestedAt]);
}

function shuttingDown(): AppError {
  return new AppError("unavailable", "The server is shutting down. Connect again.");
}
