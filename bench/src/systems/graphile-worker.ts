import { Logger, makeWorkerUtils, run, runMigrations } from "graphile-worker";
import pg from "pg";

import { databaseSite } from "./database-site.ts";
import type { JobInput, System } from "./system.ts";

const NOOP = "noop";
/** Only errors. Its default is a line for each job. */
const logger = new Logger(() => (level, message) => {
  if (level === "error") console.error(`Graphile Worker: ${message}`);
});

/**
 * Graphile Worker 0.18 with the settings of its own benchmark, which its page on performance shows as the fastest, and a
 * larger local queue.
 *
 * @see https://worker.graphile.org/docs/performance
 */
export const GRAPHILE_WORKER: System = {
  name: "graphile-worker",
  title: "Graphile Worker",
  packageName: "graphile-worker",
  durability: "PostgreSQL, commit on disk",
  // "~202,000 jobs queued per second from single add_jobs batch call": few large calls.
  bulk: { jobsPerCall: 1_000, callsAtOnce: 4 },
  jobsShare: 1,

  start: (house) =>
    databaseSite(house, {
      database: "bench_graphile",
      prepare: (connectionString) => runMigrations({ connectionString, logger }),
      // It deletes what is done.
      unfinished: "select count(*)::integer as count from graphile_worker._private_jobs",
    }),

  async openClient(connectionString) {
    const pool = new pg.Pool({ connectionString, max: 10 });
    const tell = (error: Error): void => console.error(`Graphile Worker: ${error.message}`);
    pool.on("error", tell);
    pool.on("connect", (client) => client.on("error", tell));
    const utils = await makeWorkerUtils({ pgPool: pool, logger });
    return {
      submit: async (input) => {
        await utils.addJob(NOOP, input);
      },
      submitMany: async (inputs) => {
        await utils.addJobs(inputs.map((payload) => ({ identifier: NOOP, payload })));
      },
      close: async () => {
        await utils.release();
        await pool.end();
      },
    };
  },

  async openWorker(connectionString, handler) {
    const runner = await run({
      preset: {
        worker: {
          connectionString,
          logger,
          // docs/performance "Quick stats": 24 at a time on 25 connections, no delay.
          concurrentJobs: 24,
          maxPoolSize: 25,
          // There it is 500; 2,000 made end to end 1.6 times as fast here (22 k instead of 14 k jobs/s), and 100 jobs at a
          // time no faster than 24.
          localQueue: { size: 2_000 },
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0,
        },
      },
      noHandleSignals: true,
      parsedCronItems: [],
      taskList: {
        [NOOP]: (payload, helpers) => handler(inputOf(payload), helpers.job.attempts),
      },
    });
    return { stop: () => runner.stop() };
  },
};

function inputOf(payload: unknown): JobInput {
  return typeof payload === "object" && payload !== null ? payload : {};
}
