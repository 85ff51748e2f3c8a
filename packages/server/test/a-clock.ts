/** The database's clock in the hands of a test. */
import type { Database } from "../src/store/db.ts";
import { sql } from "../src/store/sql.ts";
import { present } from "./a-job.ts";

/** The clock of one database, which stands still until it is moved. */
export interface StoppedClock {
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  advance(ms: number): Promise<void>;
}

/** Puts a clock of the test's own in the place of `baton.clock()`. It shows the present until it is moved. */
export async function aStoppedClock(db: Database): Promise<StoppedClock> {
  await db.query(
    sql`create table baton.stopped_clock as select date_trunc('milliseconds', now()) as at`,
  );
  await db.query(sql`
    create or replace function baton.clock() returns timestamptz
      language sql stable parallel safe
      as 'select at from baton.stopped_clock'`);
  const [shown] = await db.query<{ at: Date }>(sql`select at from baton.stopped_clock`);
  let nowMs = present(shown).at.getTime();
  return {
    get nowMs() {
      return nowMs;
    },
    advance: async (ms) => {
      nowMs += ms;
      await db.query(sql`update baton.stopped_clock set at = at + ${ms}::bigint * interval '1 ms'`);
    },
  };
}
