/** A connected worker as the server sees it, without a stream: what goes down to it is kept for the test. */
import { randomUUID } from "node:crypto";

import { Lane } from "../src/dispatch/lane.ts";
import {
  WorkerSession,
  type JobDelivery,
  type WorkerSessionOptions,
} from "../src/dispatch/worker-session.ts";
import { newJobId } from "../src/domain/job-id.ts";
import type { Stop } from "./an-engine.ts";

export interface PlayedSession {
  readonly session: WorkerSession;
  /** Everything that went down, in order. */
  readonly jobs: readonly JobDelivery[];
  readonly stops: readonly Stop[];
  readonly goodbyes: readonly string[];
}

let lastId = 0;

/** A session that is ready for jobs; without a row of its own unless `key` names one. */
export function aSession(different: Partial<WorkerSessionOptions> = {}): PlayedSession {
  const jobs: JobDelivery[] = [];
  const stops: Stop[] = [];
  const goodbyes: string[] = [];
  lastId += 1;
  const session = new WorkerSession({
    key: { id: lastId, connection: 1 },
    instance: randomUUID(),
    name: "played",
    slots: 1,
    prefetch: 0,
    leaseMs: 8_000,
    nowMs: 0,
    sink: {
      isFull: false,
      jobs: (delivered) => jobs.push(...delivered),
      stop: (refs, reason, graceMs) => {
        for (const { jobId, attempt } of refs) stops.push({ jobId, attempt, reason, graceMs });
      },
      goodbye: (reason) => goodbyes.push(reason),
    },
    ...different,
  });
  session.isReady = true;
  return { session, jobs, stops, goodbyes };
}

/** A lane that stands in no table. */
export function aLoneLane(id = 1, task = "noop", queue = "default"): Lane {
  return new Lane({ id, queue, task });
}

/** A job on its way down. */
export function aDelivery(lane: Lane, different: Partial<JobDelivery> = {}): JobDelivery {
  return {
    id: newJobId(Date.now()),
    attempt: 1,
    lane,
    input: "null",
    inputContentType: undefined,
    priority: 0,
    maxAttempts: 3,
    failureCount: 0,
    lostCount: 0,
    createdAt: new Date(0),
    tags: [],
    options: undefined,
    deadlineInMs: undefined,
    isCancelRequested: false,
    leasedAgoMs: 0,
    ...different,
  };
}
