/** States, outcomes and the one table of transitions that drives code, SQL checks, docs and tests. */

export const JOB_STATES = [
  "waiting",
  "scheduled",
  "queued",
  "running",
  "succeeded",
  "dead",
  "cancelled",
] as const;
export type JobState = (typeof JOB_STATES)[number];

/** States of jobs that are not over: their rows stand in `baton.job`. */
export const LIVE_STATES = [
  "waiting",
  "scheduled",
  "queued",
  "running",
] as const satisfies readonly JobState[];
/** States that a job never leaves by itself: their rows stand in `baton.job_finished`. */
export const FINAL_STATES = [
  "succeeded",
  "dead",
  "cancelled",
] as const satisfies readonly JobState[];
export type FinalState = (typeof FINAL_STATES)[number];

/** How an attempt ended. */
export const OUTCOMES = [
  "succeeded",
  "retry",
  "failed",
  "snoozed",
  "cancelled",
  "timed_out",
  "lost",
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Which states may follow which. docs/concepts.md and the tests are generated from this table. */
export const TRANSITIONS = {
  waiting: ["scheduled", "queued", "dead", "cancelled"],
  scheduled: ["queued", "dead", "cancelled"],
  queued: ["running", "dead", "cancelled"],
  running: ["succeeded", "queued", "scheduled", "dead", "cancelled"],
  succeeded: [],
  dead: ["queued"],
  cancelled: [],
} as const satisfies Record<JobState, readonly JobState[]>;

/** Tells whether a job may go from one state to another in one step. */
export function canTransition(from: JobState, to: JobState): boolean {
  return (TRANSITIONS[from] as readonly JobState[]).includes(to);
}

/** Tells whether a state is final. */
export function isFinal(state: JobState): state is FinalState {
  return (FINAL_STATES as readonly JobState[]).includes(state);
}

/** Narrows text from outside to a state. */
export function isJobState(text: string): text is JobState {
  return (JOB_STATES as readonly string[]).includes(text);
}

/** An error as kept with a job or an attempt. */
export interface JobError {
  /** A code of docs/errors.md or the name of the handler's error class. */
  readonly code: string;
  readonly message: string;
  readonly stack?: string | undefined;
}

/** The fence: a write about a running job is valid only for this pair. */
export interface AttemptRef {
  readonly jobId: string;
  readonly attempt: number;
}

/** A fence as one string, for sets and maps. */
export function fenceOf(jobId: string, attempt: number): string {
  return `${jobId} ${attempt}`;
}
