/** What statements of the hot path read must not depend on what PostgreSQL believes of the tables. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { aLane, aNewJob, aShare, aWorker, leaseFrom } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { until } from "../../test/until.ts";
import type { Database, Db } from "./db.ts";
import { jobInsert } from "./job-enqueue.ts";
import { jobFinish, jobReschedule, jobSucceed } from "./job-finish.ts";
import { jobInputs, jobLease, jobRunning, laneReady } from "./job-lease.ts";
import { leaseBatchTidy } from "./lease-batch.ts";
import { jobProgress } from "./job-notes.ts";
import { jobOverdue } from "./overdue.ts";
import { sql } from "./sql.ts";

const JOBS = 10_000;
const BATCH = 10;
const BATCHES_MAX = 100;
/** A few pages for each row of a batch; all of the table has more than a thousand. */
const PAGES_MAX = BATCH * 30;

describe("a table that grew since its statistics were taken", () => {
  const cleanup = suiteCleanup();
  let db: Database;
  let laneId: number;
  let workerId: number;
  let running: readonly { readonly id: string; readonly attempt: number }[];
  before(async () => {
    db = await aDatabase(cleanup);
    [laneId, workerId] = [await aLane(db), await aWorker(db)];
    await jobInsert(db, [aNewJob(laneId)], false);
    await db.query(sql`analyze baton.job`);
    const jobs = Array.from({ length: JOBS }, () => aNewJob(laneId));
    for (let first = 0; first < JOBS; first += 2_000)
      await jobInsert(db, jobs.slice(first, first + 2_000), false);
    const slots = Array.from({ length: JOBS / 2 }, () => workerId);
    running = await leaseFrom(db, [laneId], slots);
    // What was leased lately stands in the index of ready jobs, and what is taken out of it until somebody has walked over it
    // whom no snapshot, as of an autovacuum, kept from tidying up.
    await leaseBatchTidy(db, 0, BATCHES_MAX, JOBS);
    await until(async () => pagesOf(await plansOf(db, laneReady)) < PAGES_MAX);
  });

  const fences = () =>
    running.slice(0, BATCH).map(({ id, attempt }) => ({ jobId: id, attempt, durationMs: 0 }));
  const failed = { failureCount: 1, lostCount: 0, error: undefined };
  const statements: Readonly<Record<string, (db: Db) => Promise<unknown>>> = {
    jobLease: (on) =>
      jobLease(
        on,
        [aShare(laneId, BATCH)],
        Array.from({ length: BATCH }, () => workerId),
        1e6,
      ),
    jobRunning: (on) => jobRunning(on, running.slice(0, BATCH)),
    jobInputs: (on) => jobInputs(on, running.slice(0, BATCH)),
    jobOverdue: (on) => jobOverdue(on),
    jobProgress: (on) =>
      jobProgress(
        on,
        fences().map((fence) => ({ ...fence, value: "1" })),
      ),
    jobSucceed: (on) =>
      jobSucceed(
        on,
        fences().map((fence) => ({ ...fence, result: undefined })),
      ),
    jobFinish: (on) =>
      jobFinish(
        on,
        fences().map((fence) => ({ ...fence, ...failed, state: "dead", outcome: "failed" })),
      ),
    jobReschedule: (on) =>
      jobReschedule(
        on,
        fences().map((fence) => ({ ...fence, ...failed, outcome: "retry", delayMs: 0 })),
      ),
  };
  for (const [name, run] of Object.entries(statements)) {
    it(`is not read as a whole by ${name}`, async () => {
      const plans = await plansOf(db, run);

      const pages = pagesOf(plans);
      assert.ok(pages < PAGES_MAX, `${pages} pages for ${BATCH} rows`);
      // Each row of one side against each row of the other: a second for a large batch.
      const comparing = plans
        .flatMap(nodesOf)
        .filter((node) => node["Node Type"] === "Nested Loop" && "Join Filter" in node);
      assert.deepEqual(comparing, []);
    });
  }
});

describe("an index of ready jobs that is full of leased ones, as while somebody holds a snapshot", () => {
  const cleanup = suiteCleanup();
  let db: Database;
  before(async () => {
    db = await aDatabase(cleanup);
    const [laneId, workerId] = [await aLane(db), await aWorker(db)];
    const snapshot = await db.connect("report");
    cleanup.after(() => snapshot.end());
    await snapshot.query("begin isolation level repeatable read");
    await snapshot.query("select count(*) from baton.job");
    const slots = Array.from({ length: JOBS / 2 }, () => workerId);
    await jobInsert(
      db,
      slots.map(() => aNewJob(laneId)),
      false,
    );
    const over = await leaseFrom(db, [laneId], slots);
    await jobSucceed(
      db,
      over.map(({ id, attempt }) => ({ jobId: id, attempt, result: undefined, durationMs: 0 })),
    );
    await leaseBatchTidy(db, 0, BATCHES_MAX, JOBS);
    // As when its sample of a large table has no live row: PostgreSQL takes the index for empty.
    await db.query(sql`analyze baton.job`);
    await jobInsert(
      db,
      slots.slice(0, BATCH).map(() => aNewJob(laneId)),
      false,
    );
    await leaseFrom(db, [laneId], slots.slice(0, BATCH));
  });

  it("is not read by leaseBatchTidy", async () => {
    const plans = await plansOf(db, (on) => leaseBatchTidy(on, 0, BATCHES_MAX, BATCH));

    const indexes = new Set(plans.flatMap(nodesOf).map((node) => node["Index Name"]));
    const pages = pagesOf(plans);
    assert.deepEqual([indexes.has("job_pkey"), indexes.has("job_ready")], [true, false]);
    assert.ok(pages < PAGES_MAX, `${pages} pages for ${BATCH} rows`);
    assert.equal(await leaseBatchTidy(db, 0, BATCHES_MAX, BATCH), 1);
  });
});

/** How statements were run, in a transaction that was taken back. */
async function plansOf(
  db: Database,
  run: (db: Db) => Promise<unknown>,
): Promise<readonly PlanNode[]> {
  class TakenBack extends Error {}
  const plans: PlanNode[] = [];
  await db
    .transaction(async (tx) => {
      await run({
        query: async (statement) => {
          const [row] = await tx.query<{ readonly "QUERY PLAN": readonly Explained[] }>(
            sql`explain (analyze, buffers, format json) ${statement}`,
          );
          plans.push(...(row?.["QUERY PLAN"] ?? []).map((explained) => explained.Plan));
          return [];
        },
      });
      throw new TakenBack();
    })
    .catch((error: unknown) => {
      if (!(error instanceof TakenBack)) throw error;
    });
  return plans;
}

function pagesOf(plans: readonly PlanNode[]): number {
  return plans.reduce((sum, plan) => sum + (plan["Shared Hit Blocks"] ?? 0), 0);
}

interface Explained {
  readonly Plan: PlanNode;
}

interface PlanNode {
  readonly "Node Type": string;
  readonly "Join Filter"?: string;
  readonly "Index Name"?: string;
  /** Of the node and all below it. */
  readonly "Shared Hit Blocks"?: number;
  readonly Plans?: readonly PlanNode[];
}

function nodesOf(node: PlanNode): readonly PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}
