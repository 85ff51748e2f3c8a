/** Workers in the words of proto.MasterService. */
import { cutText } from "../../domain/cut-text.ts";
import type { WorkerState, WorkerView } from "../../domain/views.ts";
import { AppError } from "../../errors.ts";
import type { WorkerInfo } from "../../gen/conductor/master.ts";

const STATUS = {
  active: "active",
  draining: "inactive",
  detached: "inactive",
  gone: "dead",
} as const satisfies Record<WorkerState, string>;
const STATUSES: readonly string[] = ["active", "inactive", "dead"];

/** @throws AppError invalid_argument */
export function workerStatusFilter(statusFilter: string): (worker: WorkerView) => boolean {
  if (statusFilter === "") return () => true;
  if (STATUSES.includes(statusFilter)) return (worker) => STATUS[worker.state] === statusFilter;
  throw new AppError(
    "invalid_argument",
    `status_filter must be empty or one of ${STATUSES.join(", ")}; ` +
      `received ${JSON.stringify(cutText(statusFilter, 80))}`,
    { field: "status_filter" },
  );
}

/** The message of a worker; each of its tasks is a capability, and its labels are too. */
export function masterWorkerMessage(worker: WorkerView): WorkerInfo {
  const tasks = worker.tasks.map((task) => [task, "true"] as const);
  return {
    id: worker.id,
    address: worker.host,
    maxConcurrentJobs: worker.slots,
    activeJobs: worker.runningCount,
    status: STATUS[worker.state],
    lastHeartbeat: worker.seenAt,
    capabilities: { ...Object.fromEntries(tasks), ...worker.labels },
  };
}
