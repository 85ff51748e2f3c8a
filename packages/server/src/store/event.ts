/** Statements about events, partitions and wake-ups. */
import type { Client } from "pg";

import type { JobState } from "../domain/job.ts";
import type { Db } from "./db.ts";
import { sql } from "./sql.ts";

export interface EventRow {
  readonly sequence: number;
  readonly at: Date;
  readonly state: JobState;
  readonly job_ids: readonly string[];
  readonly lane_ids: readonly number[];
  readonly attempts: readonly number[];
}

/** The position behind all events that are certain by now. */
export async function eventHorizon(db: Db): Promise<number> {
  const rows = await db.query<{ horizon: number }>(
    sql`select baton.event_horizon() - 1 as horizon`,
  );
  return rows[0]?.horizon ?? 0;
}

/** The position up to which events may have been dropped; 0 while all are kept. */
export async function eventFloor(db: Db): Promise<number> {
  const rows = await db.query<{ sequence: number }>(sql`select sequence from baton.event_floor`);
  return rows[0]?.sequence ?? 0;
}

/**
 * Events after a position, in order. Stops below the oldest running transaction: whatever it writes comes later, so
 * nothing is passed over.
 */
export function eventList(
  db: Db,
  afterSequence: number,
  limit: number,
): Promise<readonly EventRow[]> {
  return db.query<EventRow>(
    sql`
    select sequence, at, state, job_ids, lane_ids, attempts
      from baton.event
     where sequence > ${afterSequence}::bigint
       and sequence < baton.event_horizon()
     order by sequence
     limit ${limit}`,
    "event_list",
  );
}

/** Makes the partitions of today and the next days. */
export async function partitionEnsure(db: Db, daysAhead: number): Promise<void> {
  await db.query(sql`select baton.partition_ensure(${daysAhead})`);
}

export const PARTITIONED = ["job_ended", "job_dead", "attempt", "log_line", "event"] as const;
export type Partitioned = (typeof PARTITIONED)[number];

/** Drops partitions whose day ended more than so many days ago. @returns their names */
export async function partitionDrop(
  db: Db,
  table: Partitioned,
  daysKept: number,
): Promise<readonly string[]> {
  const rows = await db.query<{ name: string }>(sql`
    select baton.partition_drop(${table}, ${daysKept}) as name`);
  return rows.map((row) => row.name);
}

/** Wakes the other servers. @param payload at most 8,000 bytes, PostgreSQL's bound */
export async function notify(db: Db, payload: string): Promise<void> {
  await db.query(sql`select pg_notify('baton', ${payload})`);
}

/** Makes a connection hear what {@link notify} sends. */
export async function listen(client: Client): Promise<void> {
  await client.query("listen baton");
}
