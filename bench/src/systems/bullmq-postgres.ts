import { createPostgresBackend, runMigrations, withBackend } from "bullmq";
import pg from "pg";

import { databaseSite } from "./database-site.ts";
import type { JobInput, System } from "./system.ts";

const { Queue, Worker } = withBackend(createPostgresBackend);
const QUEUE = "noop";
/** Its guide: "give each backend enough pool connections for its concurrency"; 8 to 32 at a time were its fastest. 4 and 16 were no faster here. */
const CONCURRENCY = 32;

/**
 * BullMQ 6 on PostgreSQL.
 *
 * @see https://docs.bullmq.io/guide/postgresql "Tuning tips" and "Indicative numbers"
 */
export const BULLMQ_POSTGRES: System = {
  name: "bullmq-postgres",
  title: "BullMQ, PostgreSQL",
  packageName: "bullmq",
  durability: "PostgreSQL, commit on disk",
  bulk: { jobsPerCall: 1_000, callsAtOnce: 4 },
  jobsShare: 0.1,

  start: (house) =>
    databaseSite(house, {
      database: "bench_bullmq",
      prepare: async (connectionString) => {
        const client = new pg.Client({ connectionString });
        await client.connect();
        try {
          await runMigrations(client);
        } finally {
          await client.end();
        }
      },
      unfinished:
        "select count(*)::integer as count from bullmq.job where state in ('waiting', 'active', 'delayed')",
    }),

  async openClient(connectionString) {
    const queue = new Queue<JobInput>(QUEUE, {
      connection: { connectionString, max: 10 },
      // "Let retention do its work."
      defaultJobOptions: { attempts: 3, removeOnComplete: true, removeOnFail: true },
    });
    await queue.waitUntilReady();
    return {
      submit: async (input) => {
        await queue.add(QUEUE, input);
      },
      submitMany: async (inputs) => {
        await queue.addBulk(inputs.map((data) => ({ name: QUEUE, data })));
      },
      close: () => queue.close(),
    };
  },

  async openWorker(connectionString, handler) {
    const worker = new Worker<JobInput>(
      QUEUE,
      (job) => Promise.resolve(handler(job.data, job.attemptsStarted)),
      { connection: { connectionString, max: CONCURRENCY }, concurrency: CONCURRENCY },
    );
    worker.on("error", (error) => console.error(`BullMQ: ${error.message}`));
    await worker.waitUntilReady();
    return { stop: () => worker.close() };
  },
};
