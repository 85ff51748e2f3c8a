/** A worker whose one task does nothing. Tells its parent how many jobs it has run. */
import { createWorker, task } from "@baton/sdk";

const TELL_MS = 20;
let ranCount = 0;

const noop = task({
  name: "noop",
  run: () => {
    ranCount += 1;
  },
});

const worker = createWorker({
  tasks: [noop],
  slots: 200,
  prefetch: 1_000,
  address: process.argv[2],
});
await worker.start();
const telling = setInterval(() => process.send?.(ranCount), TELL_MS);
process.send?.(0);

process.once("SIGTERM", () => {
  clearInterval(telling);
  void worker.drain().then(() => process.exit(0));
});
