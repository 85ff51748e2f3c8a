/** What stands in the tables, read on a connection of the test's own. */
import pg from "pg";

import type { RecordedAttempt } from "./history.ts";

export interface Tables {
  readonly liveIds: readonly string[];
  readonly finishedIds: readonly string[];
  readonly attempts: readonly RecordedAttempt[];
}

export async function readTables(connection: pg.ClientConfig): Promise<Tables> {
  const client = new pg.Client(connection);
  await client.connect();
  try {
    const live = await client.query<{ id: string }>("select id from baton.job");
    const finished = await client.query<{ id: string }>("select id from baton.job_finished");
    const attempts = await client.query<AttemptRow>(`
      select attempt.job_id, attempt.attempt, attempt.outcome, worker.pid
        from (select job_id, attempt, outcome, worker_id from baton.attempt
              union all
              select id, attempt, outcome, worker_id from baton.job_finished where attempt > 0) as attempt
        left join baton.worker on worker.id = attempt.worker_id`);
    return {
      liveIds: live.rows.map((row) => row.id),
      finishedIds: finished.rows.map((row) => row.id),
      attempts: attempts.rows.map((row) => ({
        jobId: row.job_id,
        attempt: row.attempt,
        outcome: row.outcome ?? undefined,
        pid: row.pid ?? 0,
      })),
    };
  } finally {
    await client.end();
  }
}

interface AttemptRow {
  readonly job_id: string;
  readonly attempt: number;
  readonly outcome: string | null;
  readonly pid: number | null;
}
