import pg from "pg";

import { BATON } from "../figures.ts";
import { recordSpeed } from "../meter.ts";
import { openStage, type Stage } from "../parties.ts";
import type { Scenario } from "../scenario.ts";
import { BATON_SYSTEM } from "../systems/baton.ts";
import { burnDown, jobsOf } from "../throughput.ts";

/** Of `--jobs`: 1 M queued, 10 M finished by default. */
const QUEUED_TIMES = 10;
const FINISHED_TIMES = 100;
const ROWS_PER_STATEMENT = 500_000;

export const HISTORY: Scenario = {
  name: "history",
  summary: "burn-down of 1 M queued jobs behind 10 M finished ones, beside an empty database",
  systems: [BATON_SYSTEM],
  roundsDefault: 1,
  async run(turn) {
    const jobs = jobsOf(turn);
    {
      await using stage = await openStage(turn);
      const speed = await burnDown(turn, stage, { jobs });
      recordSpeed(turn, speed, `${BATON}, empty database`);
    }
    await using stage = await openStage(turn);
    // Finished jobs as Baton writes them are what the history is made of.
    await burnDown(turn, stage, { jobs: Math.ceil(jobs / 10) });
    await stage.crew.program.ask("halt");
    await writeHistory(stage, jobs * FINISHED_TIMES, (count) => {
      turn.say(`${count.toLocaleString("en")} finished jobs are written`);
    });
    recordSpeed(turn, await burnDown(turn, stage, { jobs: jobs * QUEUED_TIMES }));
  },
};

/** Copies finished jobs, with ids of their own, until there are so many more. */
async function writeHistory(
  stage: Stage,
  rows: number,
  onProgress: (rows: number) => void,
): Promise<void> {
  const client = new pg.Client({ connectionString: stage.site.baton?.databaseUrl });
  await client.connect();
  try {
    const { rows: columns } = await client.query<{ name: string }>(COLUMNS);
    const names = columns.map(({ name }) => name);
    const values = names.map((name) => (name === "id" ? "uuidv7()" : name));
    await client.query("create temp table model as select * from baton.job_finished limit 1000");
    for (let written = 0; written < rows;) {
      const count = Math.min(ROWS_PER_STATEMENT, rows - written);
      await client.query(
        `insert into baton.job_finished (${names.join(", ")})
         select ${values.join(", ")} from model cross join generate_series(1, $1) limit $2`,
        [Math.ceil(count / 1_000), count],
      );
      written += count;
      onProgress(written);
    }
    await client.query("analyze baton.job_finished");
    await client.query("checkpoint");
  } finally {
    await client.end();
  }
}

/** By their names, so that the table may get more. */
const COLUMNS = `
  select quote_ident(attname) as name
    from pg_attribute
   where attrelid = 'baton.job_finished'::regclass
     and attnum > 0
     and not attisdropped
     and attgenerated = ''
   order by attnum`;
