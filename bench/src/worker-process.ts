/**
 * A worker: `worker-process.ts <system> <target>`. Its jobs do nothing. Tells its parent how many it has run. Commands:
 *
 * - start {queues, tasks, failures}: begins; each job fails in its first so many attempts.
 * - halt: stops running jobs, until the next start.
 * - watch {jobs}: from now on notes when each numbered job starts; `starts` tells it.
 */
import { nowUs } from "./clock.ts";
import { endWithParent, serve, type Lists } from "./messages.ts";
import { systemOf } from "./systems/all.ts";
import type { JobWorker } from "./systems/system.ts";

const TELL_MS = 20;

endWithParent();
const [name = "", target = ""] = process.argv.slice(2);
const system = systemOf(name);

let worker: JobWorker | undefined;
let ranCount = 0;
let telling: NodeJS.Timeout | undefined;
let startUs = new Float64Array(0);

serve(async (command, numbers): Promise<Lists> => {
  switch (command) {
    case "start": {
      const { queues = 1, tasks = 1, failures = 0 } = numbers;
      worker = await system.openWorker(
        target,
        ({ n }, attempt) => {
          if (attempt <= failures) throw new Error("fails on purpose");
          // Only the first start counts.
          if (n !== undefined && startUs[n] === 0) startUs[n] = nowUs();
          ranCount += 1;
          // Only after a job: an idle worker is measured, and the harness must not wake it.
          telling ??= setTimeout(tell, TELL_MS);
        },
        { queues, tasks },
      );
      return new Map();
    }
    case "halt":
      await worker?.stop();
      worker = undefined;
      return new Map();
    case "watch":
      startUs = new Float64Array(numbers["jobs"] ?? 0);
      return new Map();
    case "starts":
      return new Map([["startUs", startUs]]);
    case "stop":
      clearTimeout(telling);
      await worker?.stop();
      process.exit(0);
  }
  throw new Error(`There is no command ${command}.`);
});

function tell(): void {
  telling = undefined;
  process.send?.({ ran: ranCount });
}

process.send?.({ ready: true });
