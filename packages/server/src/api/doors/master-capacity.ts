/** Whether proto.MasterService takes a job now: it promises to refuse without workers and above a number of jobs. */
import { performance } from "node:perf_hooks";
import type { Operations } from "../operations.ts";

/** `scheduler.max_pending_jobs` of the scheduler that Baton replaces; also where `jobCounts` stops counting. */
const PENDING_JOBS_MAX = 10_000;
/** So long an open door is believed open, plus what this server accepted meanwhile: counting costs more than a submit. */
const FRESH_MS = 1_000;

export type Verdict =
  | { readonly kind: "open" }
  | { readonly kind: "unavailable" | "overloaded"; readonly message: string };

export interface Capacity {
  check(): Promise<Verdict>;
  /** To be called for each accepted job. */
  countAccepted(): void;
}

/** @param nowMs monotonic milliseconds; injected so that tests are exact */
export function createCapacity(
  operations: Pick<Operations, "workerList" | "jobCounts">,
  nowMs: () => number = () => performance.now(),
): Capacity {
  let openUntilMs = Number.NEGATIVE_INFINITY;
  let pendingCount = 0;
  let looking: Promise<Verdict> | undefined;

  const look = async (): Promise<Verdict> => {
    const atMs = nowMs();
    const [workers, counts] = await Promise.all([operations.workerList(), operations.jobCounts()]);
    if (!workers.some(({ state }) => state === "active" || state === "draining")) {
      return { kind: "unavailable", message: "no workers are connected; start one and try again" };
    }
    if (counts.pending >= PENDING_JOBS_MAX) {
      const message = `${PENDING_JOBS_MAX} or more jobs are pending; try again when some have run`;
      return { kind: "overloaded", message };
    }
    pendingCount = counts.pending;
    openUntilMs = atMs + FRESH_MS;
    return { kind: "open" };
  };

  return {
    check() {
      if (nowMs() < openUntilMs && pendingCount < PENDING_JOBS_MAX) {
        return Promise.resolve({ kind: "open" });
      }
      looking ??= look().finally(() => (looking = undefined));
      return looking;
    },
    countAccepted() {
      pendingCount += 1;
    },
  };
}
