/** One thing that the demo does, and what it says of it. */
import type { Client, Job, JobHandle } from "@baton/sdk";

export interface Act {
  /** Short: the name of the task, or what is shown. */
  readonly name: string;
  readonly what: string;
  readonly expected: string;
  /** Begins when all others have ended, because it disturbs them. */
  readonly isLast?: boolean;
  /** Does it. @returns what came out @throws Error that says what is not as it should be */
  readonly run: (stage: Stage) => Promise<string>;
}

/** What an act has to work with. */
export interface Stage {
  readonly client: Client;
  /** `http://host:port` of the page that the demo serves itself. */
  readonly site: string;
  /** Where the worker may write files. */
  readonly outputDirectory: string;
  /** Says what is happening right now. */
  readonly tell: (text: string) => void;
  /** Shows a bar. */
  readonly tellProgress: (done: number, total: number) => void;
  /** Ends the worker without a warning, as `kill -9` does. It is started again. */
  readonly killWorker: () => void;
}

/** Shows a job until its end. @returns the job with its attempts */
export async function follow(stage: Stage, handle: JobHandle): Promise<Job> {
  for await (const job of handle.watch()) {
    const percent = percentOf(job.progress);
    if (percent !== undefined && job.state === "running") stage.tellProgress(percent, 100);
    else stage.tell(job.attempt > 1 ? `${job.state}, attempt ${job.attempt}` : job.state);
  }
  return handle.get();
}

/** How each attempt of a job ended, in order. */
export function outcomesOf(job: Job): string {
  return job.attempts.map(({ outcome }) => outcome ?? "running").join(", ");
}

/** @throws Error with what was expected and what came */
export function expectEqual(what: string, received: unknown, expected: unknown): void {
  if (JSON.stringify(received) === JSON.stringify(expected)) return;
  throw new Error(
    `${what}: expected ${JSON.stringify(expected)}, came ${JSON.stringify(received)}`,
  );
}

function percentOf(progress: unknown): number | undefined {
  if (typeof progress !== "object" || progress === null || !("percent" in progress))
    return undefined;
  return typeof progress.percent === "number" ? progress.percent : undefined;
}
