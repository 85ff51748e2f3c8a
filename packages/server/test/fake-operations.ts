import type { JobEventView, JobView } from "../src/domain/views.ts";
import type { Operations } from "../src/api/operations.ts";

export const JOB_ID = "0190a6b2-7c3e-7000-8000-000000000001";

/** A queued job as the API shows it. */
export function aJob(overrides: Partial<JobView> = {}): JobView {
  return {
    id: JOB_ID,
    task: "echo",
    queue: "default",
    state: "queued",
    priority: 0,
    attempt: 0,
    maxAttempts: 3,
    failureCount: 0,
    tags: [],
    createdAt: new Date("2026-11-22T10:00:00.000Z"),
    ...overrides,
  };
}

/** A change of a job's state. */
export function anEvent(sequence: number, overrides: Partial<JobEventView> = {}): JobEventView {
  return {
    sequence,
    at: new Date("2026-11-22T10:00:00.000Z"),
    jobId: JOB_ID,
    task: "echo",
    queue: "default",
    state: "queued",
    attempt: 0,
    ...overrides,
  };
}

/** Operations of which only the given ones may be called; any other call fails the request. */
export function fakeOperations(given: Partial<Operations> = {}): Operations {
  const refuse = (name: string) => (): never => {
    throw new Error(`the test did not expect a call of ${name}`);
  };
  return {
    submit: refuse("submit"),
    jobGet: refuse("jobGet"),
    attemptList: refuse("attemptList"),
    jobList: refuse("jobList"),
    logList: refuse("logList"),
    cancel: refuse("cancel"),
    cancelMany: refuse("cancelMany"),
    redrive: refuse("redrive"),
    redriveMany: refuse("redriveMany"),
    watchJob: refuse("watchJob"),
    watchEvents: refuse("watchEvents"),
    queueList: refuse("queueList"),
    queuePause: refuse("queuePause"),
    queueResume: refuse("queueResume"),
    taskList: refuse("taskList"),
    taskGet: refuse("taskGet"),
    taskPut: refuse("taskPut"),
    workerList: refuse("workerList"),
    serverList: refuse("serverList"),
    jobCounts: refuse("jobCounts"),
    isReady: refuse("isReady"),
    ...given,
  };
}
