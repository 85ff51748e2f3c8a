import pg from "pg";

import { BATON } from "../figures.ts";
import { recordSpeed } from "../meter.ts";
import { openStage } from "../parties.ts";
import { THROUGHPUT, type Scenario } from "../scenario.ts";
import { BATON_SYSTEM } from "../systems/baton.ts";
import { endToEnd, jobsOf } from "../throughput.ts";

const BATCH = 1_000;

/**
 * What this machine's PostgreSQL can do at most: a job's row is written as it is by an eager lease, and moved to the
 * finished ones, a thousand rows a statement, without a server, events, secondary indexes or constraints.
 */
export const LIMIT: Scenario = {
  name: "limit",
  summary: "the same rows by the cheapest statements, on two connections, beside end to end",
  systems: [BATON_SYSTEM],
  quickSystems: [BATON_SYSTEM],
  async run(turn) {
    await using stage = await openStage(turn);
    const jobs = jobsOf(turn);
    recordSpeed(turn, await endToEnd(turn, stage, { jobs }));
    await stage.crew.program.ask("halt");
    await turn.house.checkpoint();
    const connectionString = stage.site.baton?.databaseUrl;
    if (connectionString === undefined) throw new Error("only Baton's rows are known");
    const speed = await cheapest(connectionString, jobs);
    turn.say(`${BATON}'s rows by the cheapest statements: ${Math.round(speed)} jobs/s`);
    turn.record(THROUGHPUT, speed, "the cheapest statements");
  },
};

async function cheapest(connectionString: string, jobs: number): Promise<number> {
  const writer = new pg.Client({ connectionString });
  const finisher = new pg.Client({ connectionString });
  await Promise.all([writer.connect(), finisher.connect()]);
  try {
    await writer.query(TABLES);
    await bothWays(writer, finisher, Math.ceil(jobs / BATCH / 5));
    await writer.query("checkpoint");
    const batches = Math.ceil(jobs / BATCH);
    const startMs = performance.now();
    await bothWays(writer, finisher, batches);
    return (batches * BATCH * 1_000) / (performance.now() - startMs);
  } finally {
    await Promise.all([writer.end(), finisher.end()]);
  }
}

/** Writes on one connection while the other finishes what is written. */
async function bothWays(writer: pg.Client, finisher: pg.Client, batches: number): Promise<void> {
  const written = Array.from({ length: batches }, () => Promise.withResolvers<readonly string[]>());
  const write = async (): Promise<void> => {
    for (const batch of written) {
      const ids = Array.from({ length: BATCH }, () => crypto.randomUUID());
      await writer.query({ name: "write", text: WRITE, values: [ids, ids.map(() => "{}")] });
      batch.resolve(ids);
    }
  };
  const finish = async (): Promise<void> => {
    for (const batch of written) {
      await finisher.query({ name: "finish", text: FINISH, values: [await batch.promise] });
    }
  };
  await Promise.all([write(), finish()]);
}

const TABLES = `
  create table limit_job (like baton.job);
  alter table limit_job add primary key (id);
  create table limit_finished (like baton.job_finished)`;

const WRITE = `
  insert into limit_job (id, queue_position, created_at, leased_at, worker_id, lane_id, attempt, max_attempts,
                         failure_count, lost_count, state, is_in_line, priority, input)
  select id, position, now(), now(), 1, 1, 1, 3, 0, 0, 'running', false, 0, input
    from unnest($1::uuid[], $2::text[]) with ordinality as given (id, input, position)`;

const FINISH = `
  with gone as (
    delete from limit_job
     where id = any ($1::uuid[])
    returning id, created_at, leased_at, worker_id, lane_id, attempt, max_attempts, failure_count, lost_count,
              priority, input)
  insert into limit_finished (id, created_at, leased_at, started_at, finished_at, worker_id, lane_id, attempt,
                              max_attempts, failure_count, lost_count, state, outcome, priority, input, result)
  select id, created_at, leased_at, leased_at, now(), worker_id, lane_id, attempt, max_attempts, failure_count,
         lost_count, 'succeeded', 'succeeded', priority, input, 'null'
    from gone`;
