/** The one implementation of {@link Operations}: checks what came, calls the engine or the store, tells who must know. */
import { setTimeout as sleep } from "node:timers/promises";

import {
  checkDefinition,
  checkFilter,
  checkName,
  checkReason,
  type SpecProblem,
} from "../domain/check-spec.ts";
import { decodeCursor, encodeCursor } from "../domain/cursor.ts";
import { cutText } from "../domain/cut-text.ts";
import { isUuid } from "../domain/job-id.ts";
import {
  ATTEMPT_LIST_MAX,
  LIST_LIMIT_DEFAULT,
  LIST_LIMIT_MAX,
  LOG_LIST_LIMIT_DEFAULT,
  LOG_LIST_LIMIT_MAX,
  READ_MS_MAX,
  TASKS_MAX,
} from "../domain/limits.ts";
import type { JobView, Page, QueueView, TaskDefinition } from "../domain/views.ts";
import type { Intake } from "../dispatch/intake.ts";
import { NAMESPACE_ID, type Lanes } from "../dispatch/lanes.ts";
import { once, patiently } from "../dispatch/patience.ts";
import type { Watchers } from "../dispatch/watchers.ts";
import { AppError, jobNotFound } from "../errors.ts";
import {
  cancelJob,
  cancelJobs,
  redriveJob,
  redriveJobs,
  type CancelJobsResult,
} from "../operations/change-jobs.ts";
import { isStatementTimeout, type Database } from "../store/db.ts";
import { attemptList, jobCounts, jobGet, jobList, logList } from "../store/job-read.ts";
import * as laneStore from "../store/lane.ts";
import { serverList } from "../store/server.ts";
import { workerList } from "../store/worker.ts";
import type { Operations } from "./operations.ts";

export interface OperationsParts {
  readonly db: Database;
  /** For lists and looks, with a bound on how long a statement takes. */
  readonly reads: Database;
  readonly intake: Intake;
  readonly lanes: Lanes;
  readonly watchers: Watchers;
  readonly stopAttempt: (jobId: string, attempt: number, workerId: number, message: string) => void;
  readonly onQueuedIds: (laneIds: readonly number[]) => Promise<void>;
  readonly onChanged: (jobIds: readonly string[]) => void;
  readonly onPauseChanged: () => Promise<void>;
  readonly onTasks: (names: readonly string[]) => void;
  readonly isStopping: () => boolean;
}

/** A database that takes longer than this to say anything is not one to send jobs to. */
const READY_MS_MAX = 2_000;

/** Counts for people end here: exact below, "at least" from here on. */
const COUNT_MAX = 10_000;

export function createOperations(parts: OperationsParts): Operations {
  const { db, reads, lanes, watchers } = parts;
  const read = <Result>(work: () => Promise<Result>): Promise<Result> =>
    patiently(reads, work).catch((error: unknown) => {
      throw isStatementTimeout(error) ? queryTimedOut() : error;
    });

  const requireJob = async (jobId: string): Promise<JobView> => {
    checkJobId(jobId);
    const job = await patiently(db, () => jobGet(db, jobId));
    if (job === undefined) throw jobNotFound(jobId);
    return job;
  };
  const announceCancel = (result: CancelJobsResult, reason: string | undefined): void => {
    for (const stop of result.stops) {
      parts.stopAttempt(
        stop.jobId,
        stop.attempt,
        stop.workerId,
        reason ?? "The job was cancelled.",
      );
    }
    parts.onChanged([...result.cancelledIds, ...result.stops.map((stop) => stop.jobId)]);
  };
  /** The change is made; when it cannot be announced, the poll finds it. */
  const announceQueued = (laneIds: readonly number[]): Promise<void> =>
    parts.onQueuedIds(laneIds).catch(() => undefined);
  const announcePause = (): Promise<void> => parts.onPauseChanged().catch(() => undefined);
  const queueGet = async (name: string): Promise<QueueView> => {
    const [queue] = await patiently(db, () =>
      laneStore.queueList(db, NAMESPACE_ID, COUNT_MAX, name),
    );
    if (queue === undefined) throw queueNotFound(name);
    return queue;
  };

  return {
    submit: (specs, unread) => parts.intake.submit(specs, unread),
    jobGet: requireJob,
    attemptList: async (jobId) => {
      checkJobId(jobId);
      const attempts = await patiently(db, () => attemptList(db, jobId, ATTEMPT_LIST_MAX));
      if (attempts.length === 0) await requireJob(jobId);
      return attempts;
    },
    jobList: async ({
      filter = {},
      limit = LIST_LIMIT_DEFAULT,
      cursor,
      includePayloads = false,
    }) => {
      checkLimit(limit, LIST_LIMIT_MAX);
      refuse(checkFilter(filter));
      const list = ["jobs", filter];
      const beforeId = positionOf(list, cursor);
      const jobs = await read(() =>
        jobList(reads, { filter, limit: limit + 1, beforeId, includePayloads }),
      );
      return page(list, jobs, limit, (job) => job.id);
    },
    logList: async ({ jobId, attempt = 0, limit = LOG_LIST_LIMIT_DEFAULT, cursor }) => {
      checkLimit(limit, LOG_LIST_LIMIT_MAX);
      checkJobId(jobId);
      const list = ["logs", jobId, attempt];
      const afterNumber = Number(positionOf(list, cursor) ?? 0);
      const lines = await read(() =>
        logList(db, { jobId, attempt, afterNumber, limit: limit + 1 }),
      );
      if (lines.length === 0) await requireJob(jobId);
      return page(list, lines, limit, (line) => String(line.number));
    },
    cancel: async (jobId, reason) => {
      checkJobId(jobId);
      refuse(checkReason(reason));
      const result = await patiently(db, (isRepeat) => cancelJob(db, jobId, reason, isRepeat));
      announceCancel(result, reason);
      return { state: result.stops.length > 0 ? "running" : "cancelled" };
    },
    cancelMany: async (filter, limit, reason) => {
      refuse(checkFilter(filter));
      refuse(checkReason(reason));
      const result = await once(db, () => cancelJobs(db, filter, limit, reason));
      announceCancel(result, reason);
      return {
        cancelledCount: result.cancelledIds.length,
        requestedCount: result.stops.length,
        hasMore: result.hasMore,
      };
    },
    redrive: async (jobId) => {
      checkJobId(jobId);
      const laneIds = await once(db, () => redriveJob(db, jobId));
      parts.onChanged([jobId]);
      await announceQueued(laneIds);
    },
    redriveMany: async (filter, limit) => {
      refuse(checkFilter(filter));
      const { laneIds, hasMore } = await once(db, () => redriveJobs(db, filter, limit));
      watchers.hintEvents();
      await announceQueued([...new Set(laneIds)]);
      return { redrivenCount: laneIds.length, hasMore };
    },
    watchJob: (jobId, signal) => {
      checkJobId(jobId);
      return watchers.watchJob(jobId, signal);
    },
    watchEvents: (filter, afterSequence, signal) => {
      refuse(checkFilter(filter));
      return watchers.watchEvents(filter, afterSequence, signal);
    },
    queueList: () => read(() => laneStore.queueList(reads, NAMESPACE_ID, COUNT_MAX)),
    queuePause: async (name, reason) => {
      refuse(checkReason(reason));
      await lanes.ensureQueue(name);
      await patiently(db, () => laneStore.queuePause(db, NAMESPACE_ID, name, reason));
      await announcePause();
      return queueGet(name);
    },
    queueResume: async (name) => {
      // PostgreSQL takes no NUL in a text, not even to find nothing.
      if (checkName("queue", name) !== undefined) throw queueNotFound(name);
      const rows = await patiently(db, () => laneStore.queueResume(db, NAMESPACE_ID, name));
      if (rows.length === 0) throw queueNotFound(name);
      await announcePause();
      return queueGet(name);
    },
    taskList: () => read(() => laneStore.taskList(reads, NAMESPACE_ID, TASKS_MAX)),
    taskGet: async (name) => {
      if (checkName("task", name) !== undefined) throw taskNotFound(name);
      const [task] = await read(() => laneStore.taskList(reads, NAMESPACE_ID, 1, [name]));
      if (task === undefined) throw taskNotFound(name);
      return task;
    },
    taskPut: async (definition) => {
      const { name } = definition;
      await patiently(db, () => checkTask(db, definition));
      await patiently(db, () => laneStore.taskPut(db, NAMESPACE_ID, [definition]));
      await patiently(db, () => lanes.refreshTasks([name]));
      parts.onTasks([name]);
      return lanes.task(name) ?? definition;
    },
    workerList: () => read(() => workerList(reads)),
    serverList: () => read(() => serverList(reads)),
    jobCounts: () => read(() => jobCounts(reads, COUNT_MAX)),
    isReady: async () => {
      if (parts.isStopping()) return false;
      const answer = laneStore.queuePaused(db, NAMESPACE_ID).then(
        () => true,
        () => false,
      );
      return Promise.race([answer, sleep(READY_MS_MAX, false, { ref: false })]);
    },
  };
}

function page<Item>(
  list: unknown,
  items: readonly Item[],
  limit: number,
  positionOfItem: (item: Item) => string,
): Page<Item> {
  const last = items[limit - 1];
  if (items.length <= limit || last === undefined) return { items };
  return { items: items.slice(0, limit), nextCursor: encodeCursor(list, positionOfItem(last)) };
}

function positionOf(list: unknown, cursor: string | undefined): string | undefined {
  if (cursor === undefined || cursor === "") return undefined;
  const position = decodeCursor(list, cursor);
  if (position !== undefined) return position;
  throw new AppError(
    "invalid_cursor",
    "The cursor was changed, or belongs to a list with another filter. Use nextCursor of the previous page as it came, " +
      "with the same filter.",
  );
}

function checkJobId(jobId: string): void {
  if (isUuid(jobId)) return;
  throw new AppError(
    "invalid_argument",
    `A job id is a UUID; received ${JSON.stringify(cutText(jobId, 80))}.`,
  );
}

function checkLimit(limit: number, most: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= most) return;
  throw new AppError(
    "invalid_argument",
    `limit must be a whole number from 1 to ${most}; received ${limit}.`,
    { field: "limit" },
  );
}

function refuse(problem: SpecProblem | undefined): void {
  if (problem === undefined) return;
  throw new AppError("invalid_argument", problem.message, { field: problem.field });
}

async function checkTask(db: Database, definition: TaskDefinition): Promise<void> {
  refuse(checkName("task", definition.name) ?? checkDefinition(definition));
  const [known] = await laneStore.taskList(db, NAMESPACE_ID, 1, [definition.name]);
  const { tasks } = await laneStore.nameCounts(db, NAMESPACE_ID);
  if (known === undefined && tasks >= TASKS_MAX) {
    throw new AppError(
      "resource_exhausted",
      `There are ${TASKS_MAX} tasks already, the most that are kept.`,
    );
  }
}

function queryTimedOut(): AppError {
  return new AppError(
    "query_timed_out",
    `The database took longer than ${READ_MS_MAX} ms to look. Narrow the filter (by state, queue, task or time), or try ` +
      "again when it is less busy.",
  );
}

function taskNotFound(name: string): AppError {
  return new AppError("task_not_found", `There is no task ${JSON.stringify(cutText(name, 200))}.`);
}

function queueNotFound(name: string): AppError {
  return new AppError(
    "queue_not_found",
    `There is no queue ${JSON.stringify(cutText(name, 200))}.`,
  );
}
