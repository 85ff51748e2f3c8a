/** Statements that keep what handlers say while they run: progress and log lines. */
import type { Db } from "./db.ts";
import { runsUnder } from "./fence.ts";
import { sql } from "./sql.ts";

export interface ProgressReport {
  readonly jobId: string;
  readonly attempt: number;
  /** JSON text. */
  readonly value: string;
}

/** Keeps the latest progress of running attempts. @param reports distinct jobs */
export async function jobProgress(db: Db, reports: readonly ProgressReport[]): Promise<void> {
  await db.query(sql`
    with report as (
      select * from unnest(
        ${reports.map((report) => report.jobId)}::uuid[],
        ${reports.map((report) => report.attempt)}::integer[],
        ${reports.map((report) => report.value)}::json[]
      ) as report(id, attempt, value)
    )
    update baton.job
       set progress = report.value
      from report
     where ${runsUnder(sql`report`)}`);
}

export interface NewLogLine extends Readonly<Record<"jobId" | "level" | "message", string>> {
  readonly attempt: number;
  readonly at: Date;
  /** JSON object as text. */
  readonly fields: string | undefined;
}

/** Appends log lines in the order given. */
export async function logAppend(db: Db, lines: readonly NewLogLine[]): Promise<void> {
  await db.query(sql`
    insert into baton.log_line (job_id, attempt, at, level, message, fields)
    select line.job_id, line.attempt, line.at, line.level, line.message, line.fields
      from unnest(
             ${lines.map((line) => line.jobId)}::uuid[],
             ${lines.map((line) => line.attempt)}::integer[],
             ${lines.map((line) => line.at)}::timestamptz[],
             ${lines.map((line) => line.level)}::text[],
             ${lines.map((line) => line.message)}::text[],
             ${lines.map((line) => line.fields ?? null)}::json[]
           ) with ordinality as line(job_id, attempt, at, level, message, fields, n)
     order by line.n`);
}
