/** The attempts that this worker holds: which wait, which run, which are told to stop, and how each ended. */
import { controlOf } from "../control-errors.ts";
import type { AttemptRef, LeasedJob, Outcome, StopAttempt } from "../gen/baton/v1/worker.ts";
import {
  OUTCOME_BYTES_WAITING_MAX,
  OUTCOMES_WAITING_MAX,
  RESULT_BYTES_MAX_DEFAULT,
} from "../limits.ts";
import { Attempt } from "./attempt.ts";
import type { StopReason } from "./attempt.ts";
import { AttemptContext, toJobInfo } from "./attempt-context.ts";
import type { ReportSink } from "./attempt-context.ts";
import { classifyOutcome, endingOfStop } from "./classify-outcome.ts";
import type { Ending } from "./classify-outcome.ts";
import type { Clock } from "./clock.ts";
import { messageOf } from "./job-error.ts";
import { execute } from "./execute.ts";
import type { Settlement } from "./execute.ts";
import type { WorkerSettings } from "./options.ts";
import type { Outbox } from "./outbox.ts";

export interface AttemptsOptions {
  readonly settings: WorkerSettings;
  readonly clock: Clock;
  readonly outbox: Outbox;
  readonly sink: ReportSink;
  /** Whether the worker may believe that what it was given is its own. Nothing starts without. */
  readonly hasLease: () => boolean;
  /** An outcome was put into the outbox, or an attempt is over without one. */
  readonly onChange: () => void;
}

export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #byJob = new Map<string, Attempt>();
  /** In the order in which they came, which is the order in which the server counts them as started. */
  readonly #ready = new Set<Attempt>();
  readonly #knownTasks: readonly string[];
  #runningCount = 0;
  #isTaking = true;
  #resultBytesMax = RESULT_BYTES_MAX_DEFAULT;

  constructor(options: AttemptsOptions) {
    this.#options = options;
    this.#knownTasks = [...options.settings.tasks.keys()];
  }

  get runningCount(): number {
    return this.#runningCount;
  }

  /** Whether nothing is held: nothing waits or runs, and every outcome is acknowledged. */
  get isIdle(): boolean {
    return this.#byJob.size === 0;
  }

  /** Whether anything waits or runs. */
  get isBusy(): boolean {
    return this.#runningCount > 0 || this.#ready.size > 0;
  }

  /** What to present to a new server: everything that is claimed, outcomes on their way included. */
  heldRefs(): AttemptRef[] {
    return [...this.#byJob.values()]
      .filter((attempt) => attempt.phase !== "lost")
      .map(({ job }) => ({ jobId: job.jobId, attempt: job.attempt }));
  }

  setResultBytesMax(resultBytesMax: number): void {
    this.#resultBytesMax = resultBytesMax;
  }

  /** Takes jobs in. One that is held already, or older than what is held, is ignored. */
  accept(jobs: readonly LeasedJob[]): void {
    const { slots, prefetch } = this.#options.settings;
    for (const job of jobs) {
      const known = this.#byJob.get(job.jobId);
      if (known !== undefined && known.job.attempt >= job.attempt) continue;
      if (known !== undefined)
        this.#abandon(known, `attempt ${job.attempt} of the job has arrived`);
      const attempt = new Attempt(job);
      this.#byJob.set(job.jobId, attempt);
      const isRoom = this.#runningCount + this.#ready.size < slots + prefetch;
      if (this.#isTaking && isRoom) this.#ready.add(attempt);
      else this.#report(attempt, GIVEN_BACK);
    }
    this.pump();
  }

  /** Starts what there is room for: free slots, and an outbox that is not full. Without a lease nothing. */
  pump(): void {
    const { settings, outbox, hasLease } = this.#options;
    if (this.#ready.size === 0 || !hasLease()) return;
    // One walk: looking for the first anew costs a step for each that left from the head before.
    for (const next of this.#ready) {
      if (this.#runningCount >= settings.slots) return;
      if (outbox.count >= OUTCOMES_WAITING_MAX || outbox.bytes >= OUTCOME_BYTES_WAITING_MAX) return;
      this.#ready.delete(next);
      this.#start(next);
    }
  }

  /** What the server asks to stop. */
  stop(stops: readonly StopAttempt[]): void {
    for (const { jobId, attempt: number, reason, graceMs, message } of stops) {
      const attempt = this.#byJob.get(jobId);
      if (attempt === undefined || attempt.job.attempt !== number) continue;
      const stopReason = toStopReason(reason);
      if (stopReason === undefined) this.#abandon(attempt, message);
      else this.#stop(attempt, stopReason, graceMs, message);
    }
    this.pump();
  }

  /** What a new server says is not ours: abandoned without an outcome. */
  abandon(refs: readonly AttemptRef[]): void {
    for (const { jobId, attempt: number } of refs) {
      const attempt = this.#byJob.get(jobId);
      if (attempt === undefined || attempt.job.attempt !== number) continue;
      if (attempt.phase === "reported") this.#tellStale({ jobId, attempt: number });
      this.#abandon(attempt, "the server says that the attempt is not this worker's");
      this.#byJob.delete(jobId);
    }
  }

  /** Outcomes that the server has taken or refused. */
  acknowledge(outcomes: readonly Outcome[], stale: readonly AttemptRef[]): void {
    for (const { jobId, attempt: number } of outcomes) {
      const attempt = this.#byJob.get(jobId);
      if (attempt === undefined || attempt.job.attempt !== number) continue;
      attempt.end("over");
      this.#byJob.delete(jobId);
    }
    for (const ref of stale) this.#tellStale(ref);
    this.pump();
  }

  #tellStale({ jobId, attempt }: AttemptRef): void {
    const message =
      "stale_lease: the server did not take an outcome, the attempt was not this worker's any more";
    this.#options.settings.logger.warn(message, { jobId, attempt });
  }

  /**
   * The lease is over: what runs is aborted, given up and reported as lost; what waits is forgotten, it never started.
   *
   * @returns how many were running
   */
  fence(): number {
    const running = [...this.#byJob.values()].filter(({ phase }) => phase === "running");
    for (const attempt of this.#ready) this.#byJob.delete(attempt.job.jobId);
    this.#ready.clear();
    for (const attempt of running) {
      attempt.stop("lease_lost", LEASE_LOST_MESSAGE);
      this.#runningCount -= 1;
      this.#report(attempt, endingOfStop("lease_lost", LEASE_LOST_MESSAGE));
      attempt.end("lost");
    }
    return running.length;
  }

  /** Takes nothing any more; what waits for a slot goes back to its queue at once, without counting as a failure. */
  giveBack(): void {
    this.#isTaking = false;
    for (const attempt of this.#ready) this.#report(attempt, GIVEN_BACK);
    this.#ready.clear();
  }

  /** Asks every handler to stop, because the worker does. */
  stopAll(): void {
    for (const attempt of this.#byJob.values()) {
      if (attempt.phase === "running") attempt.stop("worker_stopped", "the worker was stopped");
    }
  }

  /** Reports everything that still runs as lost. */
  giveUpAll(): void {
    for (const attempt of this.#byJob.values()) {
      if (attempt.phase === "running") this.#giveUp(attempt, "the worker was stopped");
    }
  }

  #start(attempt: Attempt): void {
    const { settings, clock, sink } = this.#options;
    attempt.phase = "running";
    attempt.startedAt = clock.now();
    this.#runningCount += 1;
    const context = new AttemptContext(attempt, sink);
    void execute(settings.tasks, attempt.job, context).then((settlement) =>
      this.#settle(attempt, settlement),
    );
  }

  #settle(attempt: Attempt, settlement: Settlement): void {
    // An attempt that was given up is over, whatever its handler does.
    if (attempt.phase !== "running") return;
    const ending = classifyOutcome(settlement, {
      task: attempt.job.task,
      knownTasks: this.#knownTasks,
      stopReason: attempt.stopReason,
      resultBytesMax: this.#resultBytesMax,
    });
    this.#runningCount -= 1;
    this.#report(attempt, ending);
    if (settlement.kind === "threw" && attempt.stopReason === undefined) {
      if (controlOf(settlement.error) === undefined) this.#tellError(settlement.error, attempt);
    }
    this.pump();
  }

  #tellError(error: unknown, attempt: Attempt): void {
    const { onError, logger } = this.#options.settings;
    try {
      onError(error, toJobInfo(attempt));
    } catch (thrown) {
      logger.error(`onError threw: ${messageOf(thrown)}`);
    }
  }

  #stop(attempt: Attempt, reason: StopReason, graceMs: number, message: string): void {
    if (attempt.phase === "ready") {
      this.#ready.delete(attempt);
      this.#report(attempt, endingOfStop(reason, message));
    } else if (attempt.phase === "running" && attempt.stopReason === undefined) {
      attempt.cancelGrace = this.#options.clock.after(graceMs, () => {
        this.#giveUp(attempt, `${message} The handler did not end within ${graceMs} ms.`);
        this.pump();
      });
      attempt.stop(reason, message);
    }
  }

  /** Ends a running attempt in its handler's place and frees its slot. */
  #giveUp(attempt: Attempt, message: string): void {
    const { jobId, attempt: number, task } = attempt.job;
    this.#options.settings.logger.warn("an attempt was abandoned, its handler goes on unheard", {
      jobId,
      attempt: number,
      task,
      message,
    });
    this.#runningCount -= 1;
    this.#report(attempt, endingOfStop(attempt.stopReason ?? "lease_lost", message));
  }

  /** Ends an attempt that is not ours, without an outcome. One whose outcome is on its way waits for the answer. */
  #abandon(attempt: Attempt, message: string): void {
    if (attempt.phase !== "ready" && attempt.phase !== "running") return;
    const { jobId, attempt: number, task } = attempt.job;
    const fields = { jobId, attempt: number, task, message };
    this.#options.settings.logger.warn("an attempt is this worker's no more", fields);
    this.#ready.delete(attempt);
    if (attempt.phase === "running") this.#runningCount -= 1;
    attempt.stop("lease_lost", message);
    attempt.end("over");
    this.#byJob.delete(jobId);
    this.#options.onChange();
  }

  #report(attempt: Attempt, ending: Ending): void {
    const { clock, outbox, onChange } = this.#options;
    const wasStarted = attempt.phase === "running";
    outbox.add({
      jobId: attempt.job.jobId,
      attempt: attempt.job.attempt,
      kind: ending.kind,
      result: "result" in ending ? ending.result : undefined,
      error: "error" in ending ? ending.error : undefined,
      delayMs: "delayMs" in ending ? ending.delayMs : undefined,
      durationMs: wasStarted ? Math.round(clock.now() - attempt.startedAt) : 0,
    });
    attempt.end("reported");
    onChange();
  }
}

/** Back to the queue at once: not a failure, and not a loss, of which a job survives only few. */
const GIVEN_BACK: Ending = { kind: "snoozed", delayMs: 0 };

const LEASE_LOST_MESSAGE = "the worker had no contact to a server for longer than its lease";

/** Undefined: stale_lease, and reasons of a newer server, which will end the attempt itself. */
function toStopReason(reason: string): StopReason | undefined {
  switch (reason) {
    case "cancelled":
    case "timed_out":
    case "heartbeat_timed_out":
    case "deadline_exceeded":
      return reason;
    default:
      return undefined;
  }
}
