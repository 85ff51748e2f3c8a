import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { anEngine } from "../../test/an-engine.ts";
import { aDatabaseConnection } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { openDatabase } from "../store/db.ts";
import { sql } from "../store/sql.ts";

describe("a list that takes too long", () => {
  const cleanup = suiteCleanup();

  it("is cancelled and says so, while jobs go on being accepted", async () => {
    const connection = await aDatabaseConnection(cleanup);
    const open = {
      connection,
      connectionsMax: 4,
      applicationName: "test",
      onError: () => undefined,
    };
    const [db, reads] = [openDatabase(open), openDatabase({ ...open, statementMsMax: 100 })];
    cleanup.after(() => Promise.all([db.close(), reads.close()]));
    const engine = await anEngine(db, cleanup, { reads });
    await engine.operations.taskPut({ name: "noop" });

    await db.transaction(async (tx) => {
      await tx.query(sql`lock table baton.attempt in access exclusive mode`);
      const [accepted] = await engine.operations.submit([{ task: "noop", input: "1" }]);

      await assert.rejects(engine.operations.attemptList(accepted?.jobId ?? ""), {
        code: "query_timed_out",
      });
    });
  });
});
