import { systemClock } from "./clock.ts";
import type { WorkerOptions } from "./options.ts";
import { makeWorker } from "./stream-worker.ts";
import type { Worker } from "./worker.ts";

/**
 * Makes a worker. It connects with `start` or `run`.
 *
 * @throws BatonError invalid_argument that names the option
 */
export function createWorker(options: WorkerOptions): Worker {
  return makeWorker(options, { clock: systemClock, random: Math.random });
}
