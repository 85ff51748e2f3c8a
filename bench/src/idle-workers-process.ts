/** Many Baton workers with nothing to do, each with a stream of its own: `idle-workers-process.ts <address>`. */
import { createWorker, task, type Worker } from "@baton/sdk";

import { endWithParent, serve, type Lists } from "./messages.ts";

/** So many connect at once; a thousand handshakes at a time would time out on two cores. */
const CONNECT_AT_ONCE = 50;

endWithParent();
const address = process.argv[2];
const noop = task({ name: "noop", run: () => undefined });
const workers: Worker[] = [];

serve(async (command, { workers: count = 0 }): Promise<Lists> => {
  switch (command) {
    case "start":
      while (workers.length < count) {
        const batch = Array.from(
          { length: Math.min(CONNECT_AT_ONCE, count - workers.length) },
          () => createWorker({ address, tasks: [noop], slots: 10 }),
        );
        workers.push(...batch);
        await Promise.all(batch.map((worker) => worker.start()));
      }
      return new Map();
    case "stop":
      await Promise.all(workers.map((worker) => worker.stop()));
      process.exit(0);
  }
  throw new Error(`There is no command ${command}.`);
});
process.send?.({ ready: true });
