import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";

import { startRedis, type AppendFsync } from "./redis.ts";
import type { JobInput, System } from "./system.ts";

const QUEUE = "noop";
/** Its guide on concurrency suggests 100 to 300 for what waits for others; more gained nothing for no-ops here. */
const CONCURRENCY = 200;

/**
 * BullMQ 6 on Redis.
 *
 * @see https://docs.bullmq.io/guide/going-to-production for the connection's and Redis's settings,
 *   https://docs.bullmq.io/guide/parallelism-and-concurrency for concurrency
 */
function bullmqRedis(appendFsync: AppendFsync, durability: string): System {
  return {
    name: appendFsync === "always" ? "bullmq-redis-always" : "bullmq-redis",
    title: `BullMQ, Redis ${appendFsync}`,
    packageName: "bullmq",
    durability,
    bulk: { jobsPerCall: 1_000, callsAtOnce: 4 },
    jobsShare: 0.3,

    async start(house) {
      const server = await startRedis(await house.createDirectory("redis"), appendFsync);
      const connection = new Redis(server.url, { maxRetriesPerRequest: null });
      const queue = new Queue(QUEUE, { connection });
      return {
        target: server.url,
        pids: { database: server.pid },
        unfinished: async () => {
          const counts = await queue.getJobCounts("wait", "active", "delayed", "prioritized");
          return Object.values(counts).reduce((sum, count) => sum + count, 0);
        },
        [Symbol.asyncDispose]: async () => {
          await queue.close();
          connection.disconnect();
          await server[Symbol.asyncDispose]();
        },
      };
    },

    async openClient(url) {
      const connection = new Redis(url, { maxRetriesPerRequest: null });
      const queue = new Queue<JobInput>(QUEUE, {
        connection,
        // Going to production, "Automatic job removal".
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
        close: async () => {
          await queue.close();
          connection.disconnect();
        },
      };
    },

    async openWorker(url, handler) {
      const connection = new Redis(url, { maxRetriesPerRequest: null });
      const worker = new Worker<JobInput>(
        QUEUE,
        (job) => Promise.resolve(handler(job.data, job.attemptsStarted)),
        { connection, concurrency: CONCURRENCY },
      );
      worker.on("error", (error) => console.error(`BullMQ: ${error.message}`));
      await worker.waitUntilReady();
      return {
        stop: async () => {
          await worker.close();
          connection.disconnect();
        },
      };
    },
  };
}

export const BULLMQ_REDIS = bullmqRedis("everysec", "Redis, up to a second may be lost");
export const BULLMQ_REDIS_ALWAYS = bullmqRedis("always", "Redis, append-only file on disk");
