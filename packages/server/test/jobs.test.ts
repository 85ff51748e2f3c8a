/**
 * Whatever happens to jobs, in whatever order: the tables say what a small model in memory says. A failure prints the
 * shortest sequence of commands found and the seed; `fc.assert`'s third argument takes both to see it again.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { before, describe, it } from "node:test";
import fc from "fast-check";

import type { Database } from "../src/store/db.ts";
import { sql } from "../src/store/sql.ts";
import { serverStart } from "../src/store/server.ts";
import { workerAttach, type NewWorker } from "../src/store/worker.ts";
import { aStoppedClock, type StoppedClock } from "./a-clock.ts";
import { aLane } from "./a-job.ts";
import { aDatabase } from "./database.ts";
import { jobCommands } from "./model/job-commands.ts";
import { JobModel } from "./model/job-model.ts";
import { LEASE_MS, QUEUES, Tables, WORKERS } from "./model/job-tables.ts";
import { suiteCleanup } from "./suite.ts";

const RUNS = 50;
const COMMANDS_MAX = 40;

describe("the tables of jobs", () => {
  const cleanup = suiteCleanup();
  let db: Database;
  let clock: StoppedClock;
  before(async () => {
    db = await aDatabase(cleanup);
    clock = await aStoppedClock(db);
  });

  /** Empty tables with two queues and two connected workers. */
  const setUp = async (): Promise<{ model: JobModel; real: Tables }> => {
    for (const table of [sql`job`, sql`job_finished`, sql`attempt`, sql`idempotency`, sql`worker`])
      await db.query(sql`delete from baton.${table}`);
    const queueNames = QUEUES.map((queue) => `${queue}-${randomBytes(4).toString("hex")}`);
    const laneIds: number[] = [];
    for (const queue of queueNames) laneIds.push(await aLane(db, queue));
    const serverId = await serverStart(db, "test-server", "0.0.0");
    const newWorkers = Array.from({ length: WORKERS }, () => aNewWorker(serverId));
    const workerIds: number[] = [];
    for (const worker of newWorkers) workerIds.push((await workerAttach(db, worker)).id);
    const [last] = await db.query<{ sequence: number }>(
      sql`select coalesce(max(sequence), 0) as sequence from baton.event`,
    );
    return {
      model: new JobModel(clock.nowMs, LEASE_MS, workerIds.length),
      real: new Tables(
        { db, clock, queueNames, laneIds, newWorkers, workerIds },
        last?.sequence ?? 0,
      ),
    };
  };

  it("are as a model of them after every command", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.commands([...jobCommands], { maxCommands: COMMANDS_MAX, size: "max" }),
        (commands) => fc.asyncModelRun(setUp, commands),
      ),
      { numRuns: RUNS },
    );
  });
});

/** A worker as it books itself in. */
function aNewWorker(serverId: number): NewWorker {
  return {
    instance: randomUUID(),
    serverId,
    name: "played",
    host: "localhost",
    pid: 1,
    sdk: "test/0",
    slots: 10,
    tasks: ["noop"],
    queues: ["default"],
    labels: {},
    leaseMs: LEASE_MS,
  };
}
