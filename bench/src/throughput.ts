/** Jobs from the first submission, or from the start of the worker, until the last outcome is durable. */
import { shownSpeed, startMeter, type Speed } from "./meter.ts";
import type { Stage } from "./parties.ts";
import type { Turn } from "./scenario.ts";

export interface JobsOfARun {
  readonly jobs: number;
  /** Size of the input. @default an empty object */
  readonly bytes?: number;
  /** Jobs a call and calls at once. @default what the system is best with */
  readonly bulk?: { readonly jobsPerCall: number; readonly callsAtOnce: number };
  /** Spread over so many lanes of queues and tasks. @default one */
  readonly lanes?: { readonly queues: number; readonly tasks: number };
  /** Attempts of each job that fail before one succeeds. @default 0 */
  readonly failures?: number;
}

/** Jobs that a turn's system is measured with. */
export function jobsOf({ options, system }: Turn): number {
  return Math.ceil(options.jobs * system.jobsShare);
}

/** Submits and runs jobs together, after a warm-up. */
export async function endToEnd(turn: Turn, stage: Stage, run: JobsOfARun): Promise<Speed> {
  await startCrew(stage, run);
  await warmUp(turn, stage, run);
  return timed(turn, stage, run.jobs, () => submitAndFinish(turn, stage, run));
}

/** Lets a worker loose on jobs that are all queued. Its connecting counts. */
export async function burnDown(turn: Turn, stage: Stage, run: JobsOfARun): Promise<Speed> {
  await startCrew(stage, run);
  await warmUp(turn, stage, run);
  await stage.crew.program.ask("halt");
  await submit(turn, stage, run);
  // What the submissions left to be written is not part of this.
  await turn.house.checkpoint();
  const before = stage.crew.ranCount;
  return timed(turn, stage, run.jobs, async () => {
    await startCrew(stage, run);
    await stage.crew.finished(before + run.jobs);
  });
}

/** Submits jobs, many a call. @returns seconds */
export async function submit(turn: Turn, stage: Stage, run: JobsOfARun): Promise<number> {
  const { jobsPerCall, callsAtOnce } = run.bulk ?? turn.system.bulk;
  const lanes = run.lanes === undefined ? 0 : run.lanes.queues * run.lanes.tasks;
  const { jobs, bytes = 0 } = run;
  const lists = await stage.load.ask("bulk", { jobs, jobsPerCall, callsAtOnce, bytes, lanes });
  return lists.get("seconds")?.[0] ?? Number.NaN;
}

/** Has the worker begin to take jobs. */
export async function startCrew(
  stage: Stage,
  { lanes, failures = 0 }: Omit<JobsOfARun, "jobs"> = {},
): Promise<void> {
  const { queues, tasks } = lanes ?? { queues: 1, tasks: 1 };
  await stage.crew.program.ask("start", { queues, tasks, failures });
}

/**
 * Half as many jobs run without a clock before those that are measured: a queue runs for weeks, and the seconds in which new
 * processes compile their code and a new database fills its caches are not its speed.
 */
export function warmUpJobsOf(jobs: number): number {
  return Math.ceil(jobs / 2);
}

async function warmUp(turn: Turn, stage: Stage, run: JobsOfARun): Promise<void> {
  const { queues, tasks } = run.lanes ?? { queues: 0, tasks: 0 };
  // A lane's first job makes the lane: each gets one.
  const jobs = Math.max(warmUpJobsOf(run.jobs), queues * tasks);
  await submitAndFinish(turn, stage, { ...run, jobs });
  await turn.house.checkpoint();
}

async function submitAndFinish(turn: Turn, stage: Stage, run: JobsOfARun): Promise<void> {
  const before = stage.crew.ranCount;
  await Promise.all([submit(turn, stage, run), stage.crew.finished(before + run.jobs)]);
}

async function timed(
  turn: Turn,
  stage: Stage,
  jobs: number,
  work: () => Promise<void>,
): Promise<Speed> {
  const end = await startMeter(stage);
  await work();
  const speed = await end(jobs);
  turn.say(shownSpeed(speed));
  return speed;
}
