import type { AdmittedJob } from "../src/dispatch/admission.ts";
import type { Lane } from "../src/dispatch/lane.ts";
import { newJobId } from "../src/domain/job-id.ts";

/** A job that was checked and waits to be written. */
export function anAdmittedJob(lane: Lane): AdmittedJob {
  return {
    id: newJobId(0),
    lane,
    priority: 0,
    input: "null",
    maxAttempts: 3,
    extra: undefined,
    keyed: undefined,
  };
}
