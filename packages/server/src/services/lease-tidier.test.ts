import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { aLane, aNewJob, aWorker } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { jobInsertPlain } from "../store/job-enqueue.ts";
import { jobSucceed } from "../store/job-finish.ts";
import { sql } from "../store/sql.ts";
import { tidyLeasesOnce } from "./lease-tidier.ts";

describe("tidyLeasesOnce", () => {
  const cleanup = suiteCleanup();

  it("looks through all batches, large and small", async () => {
    const db = await aDatabase(cleanup);
    const [laneId, workerId] = [await aLane(db), await aWorker(db)];
    const sizes = [
      ...Array.from({ length: 8 }, () => 1_000),
      ...Array.from({ length: 40 }, () => 1),
    ];
    const batches = sizes.map((length) =>
      Array.from({ length }, () => aNewJob(laneId, { workerId })),
    );
    for (const batch of batches) await jobInsertPlain(db, batch, []);
    const [lasting, ...over] = batches.flat();
    for (let first = 0; first < over.length; first += 1_000) {
      const ended = over.slice(first, first + 1_000);
      await jobSucceed(
        db,
        ended.map(({ id }) => ({ jobId: id, attempt: 1, result: undefined, durationMs: 0 })),
      );
    }

    await db.query(sql`update baton.lease_batch set created_at = created_at - interval '1 minute'`);

    await tidyLeasesOnce(db);

    assert.deepEqual(await db.query(sql`select job_ids from baton.lease_batch`), [
      { job_ids: [lasting?.id] },
    ]);
  });
});
