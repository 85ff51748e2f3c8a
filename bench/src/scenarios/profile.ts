import { setTimeout as sleep } from "node:timers/promises";

import pg from "pg";

import { startMeter } from "../meter.ts";
import { openStage, type Stage } from "../parties.ts";
import type { Statement } from "../house.ts";
import type { Scenario, Turn } from "../scenario.ts";
import { SYSTEMS } from "../systems/all.ts";
import { endToEnd, jobsOf, warmUpJobsOf } from "../throughput.ts";

/** A session of PostgreSQL tells its counters when it has been idle for 10 s, at the latest. */
const STATISTICS_MS = 11_000;
const STATEMENTS_TOLD = 8;
const STATEMENT_CHARACTERS = 100;

export const PROFILE: Scenario = {
  name: "profile",
  summary: "end to end: CPU of each process, WAL and commits a job; alone, statements too",
  systems: SYSTEMS,
  roundsDefault: 3,
  async run(turn) {
    await using stage = await openStage(turn);
    const jobs = jobsOf(turn);
    // Starts the worker and warms everything up.
    await endToEnd(turn, stage, { jobs: Math.ceil(jobs / 5) });
    await stage.crew.program.ask("halt");
    await using counters = await openCounters(stage);
    const database = new URL(stage.site.baton?.databaseUrl ?? stage.site.target).pathname.slice(1);
    await turn.house.statements(database);
    const end = await startMeter(stage);
    const before = await counters.read();

    await endToEnd(turn, stage, { jobs });

    // The warm-up that belongs to it counts too.
    const ran = jobs + warmUpJobsOf(jobs);
    tellStatements(turn, await turn.house.statements(database), ran);
    const { cpuUs } = await end(ran);
    for (const [name, us] of Object.entries(cpuUs)) {
      turn.record({ name: `CPU of ${name}`, unit: "µs a job", isLessBetter: true }, us);
    }
    const after = await counters.read();
    if (before.walBytes === undefined || after.walBytes === undefined) return;
    turn.record(
      { name: "WAL", unit: "bytes a job", isLessBetter: true },
      (after.walBytes - before.walBytes) / ran,
    );
    turn.record(
      { name: "commits", unit: "a thousand jobs", isLessBetter: true },
      ((after.commits ?? 0) - (before.commits ?? 0)) / (ran / 1_000),
    );
  },
};

function tellStatements(turn: Turn, statements: readonly Statement[], jobs: number): void {
  if (statements.length === 0) return;
  const calls = statements.reduce((sum, statement) => sum + statement.calls, 0);
  turn.record(
    { name: "statements", unit: "a thousand jobs", isLessBetter: true },
    (calls * 1_000) / jobs,
  );
  for (const { text, calls: own, rows, milliseconds } of statements.slice(0, STATEMENTS_TOLD)) {
    const perJobUs = Math.round((milliseconds * 1_000) / jobs);
    const perCall = `${(rows / own).toFixed(0)} rows and ${(milliseconds / own).toFixed(2)} ms a call`;
    turn.say(
      `${perJobUs} µs a job, ${own} calls, ${perCall}: ${text.slice(0, STATEMENT_CHARACTERS)}`,
    );
  }
}

interface Counts {
  readonly walBytes?: number;
  /** Transactions of this database, reading ones too: on this path each is a round trip or a few. */
  readonly commits?: number;
}

interface Counters extends AsyncDisposable {
  read(): Promise<Counts>;
}

async function openCounters({ site }: Stage): Promise<Counters> {
  const connectionString = site.baton?.databaseUrl ?? site.target;
  if (!connectionString.startsWith("postgresql:")) {
    return { read: () => Promise.resolve({}), [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const client = new pg.Client({ connectionString });
  await client.connect();
  return {
    read: async () => {
      await sleep(STATISTICS_MS);
      const { rows } = await client.query<{ wal_bytes: string; commits: string }>(COUNTS);
      return { walBytes: Number(rows[0]?.wal_bytes), commits: Number(rows[0]?.commits) };
    },
    [Symbol.asyncDispose]: () => client.end(),
  };
}

const COUNTS = `
  select pg_current_wal_insert_lsn() - '0/0'::pg_lsn as wal_bytes,
         xact_commit as commits
    from pg_stat_database
   where datname = current_database()`;
