import { PgBoss } from "pg-boss";

import { databaseSite } from "./database-site.ts";
import type { JobInput, System } from "./system.ts";

const QUEUE = "noop";

/**
 * pg-boss 12. Its documentation names no settings for throughput; these are what its options say they are for.
 *
 * @see https://pgboss.io/api/workers and https://pgboss.io/api/queues
 */
export const PG_BOSS: System = {
  name: "pg-boss",
  title: "pg-boss",
  packageName: "pg-boss",
  durability: "PostgreSQL, commit on disk",
  bulk: { jobsPerCall: 1_000, callsAtOnce: 4 },
  jobsShare: 1,

  start: (house) =>
    databaseSite(house, {
      database: "bench_pgboss",
      prepare: async (connectionString) => {
        const boss = await open(connectionString, 2);
        await boss.createQueue(QUEUE, {
          // A table of its own: "more useful for a large queue".
          partition: true,
          // "Workers wake immediately rather than waiting for their next poll."
          notify: true,
          // Failed attempts come back at once, as with the others.
          retryDelay: 0,
        });
        await boss.stop({ graceful: false });
      },
      unfinished: "select count(*)::integer as count from pgboss.job where state < 'completed'",
    }),

  async openClient(connectionString) {
    const boss = await open(connectionString, 10);
    return {
      submit: async (input) => {
        await boss.send(QUEUE, input);
      },
      submitMany: async (inputs) => {
        await boss.insert(
          QUEUE,
          inputs.map((data) => ({ data })),
        );
      },
      close: () => boss.stop({ graceful: false }),
    };
  },

  async openWorker(connectionString, handler) {
    const boss = await open(connectionString, 10);
    await boss.work<JobInput>(
      QUEUE,
      {
        // One statement fetches and one completes so many jobs. 300 and 3,000 were slower.
        batchSize: 1_000,
        // Fetch continuously while batches come back full. That needs batches, so it is the mode for throughput.
        burstWhenBatchFull: true,
        // The next batch is fetched while one is completed. 4 were no faster on 2 cores, 1 slower.
        localConcurrency: 2,
        // The least it takes: how soon a worker looks again when notifications do not come.
        pollingIntervalSeconds: 0.5,
        notifyPollingIntervalSeconds: 0.5,
        includeMetadata: true,
        // By default one failed job fails its batch.
        perJobResults: true,
      },
      (jobs) =>
        Promise.resolve(
          jobs.map((job) => {
            try {
              handler(job.data, job.retryCount + 1);
              return { id: job.id, status: "completed" as const };
            } catch {
              return { id: job.id, status: "failed" as const };
            }
          }),
        ),
    );
    return { stop: () => boss.stop({ graceful: true, timeout: 10_000 }) };
  },
};

async function open(connectionString: string, max: number): Promise<PgBoss> {
  const boss = new PgBoss({
    connectionString,
    max,
    useListenNotify: true,
    // Neither schedules nor maintenance during a measurement of seconds.
    schedule: false,
    supervise: false,
  });
  boss.on("error", (error) => console.error(`pg-boss: ${error.message}`));
  await boss.start();
  return boss;
}
