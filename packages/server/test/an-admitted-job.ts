import type { AdmittedJob } from "../src/dispatch/admission.ts";
import type { Lane } from "../src/dispatch/lane.ts";
import { newJobId } from "../src/domain/job-id.ts";

/** A job that was checked and waits to be written. */
export function anAdmittedJob(lane: Lane): AdmittedJob {
  return {
    id: newJobId(0),
    lane,
    spec: { task: lane.task, queue: lane.queue, input: "null" },
    maxAttempts: 3,
    extra: undefined,
  };
}
