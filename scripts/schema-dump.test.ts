import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";

import { aDatabase, anEmptyDatabaseConnection } from "../packages/server/test/database.ts";
import { openDatabase, type Database } from "../packages/server/src/store/db.ts";
import { sql, Statement } from "../packages/server/src/store/sql.ts";
import { describeSchema } from "./schema/describe.ts";

describe("describeSchema", () => {
  it("gives a text that makes the same schema again", async (t) => {
    const text = await describeSchema(await aDatabase(t));
    const other = await anEmptyDatabase(t);

    await other.query(new Statement([text], []));

    assert.equal(await describeSchema(other), text);
  });

  it("does not change with partitions that are made at run time, nor with rows", async (t) => {
    const database = await aDatabase(t);
    const before = await describeSchema(database);

    await database.query(sql`select baton.partition_ensure(9)`);
    await database.query(sql`insert into baton.namespace (name) values ('other')`);

    assert.equal(await describeSchema(database), before);
  });

  for (const [name, change] of [
    ["a column", "alter table baton.queue add column colour text"],
    ["a default", "alter table baton.server alter column version set default '1'"],
    ["a missing not null", "alter table baton.server alter column version drop not null"],
    ["a type", "alter table baton.worker alter column pid type bigint"],
    ["a check", "alter table baton.job drop constraint attempts_count_up"],
    ["a foreign key", "alter table baton.worker drop constraint worker_server_id_fkey"],
    ["an index", "drop index baton.job_due"],
    [
      "a condition of an index",
      "create index job_ready_2 on baton.job (lane_id) where priority > 1",
    ],
    ["an option of a table", "alter table baton.job set (fillfactor = 80)"],
    ["how a column is stored", "alter table baton.job alter column input set storage external"],
    ["how a column is sampled", "alter table baton.job alter column tags set statistics 0"],
    ["what is published of rows that go", "alter table baton.event replica identity full"],
    ["a value of an enum", "alter type baton.outcome add value 'other'"],
    [
      "the body of a function",
      "create or replace function baton.clock() returns timestamptz language sql stable parallel safe as 'select now() + interval ''1 s'''",
    ],
    ["a default partition", "drop table baton.event_default"],
    ["a view", "create view baton.seen as select id from baton.job"],
    [
      "a trigger",
      `create function baton.noop() returns trigger language plpgsql as 'begin return new; end';
       create trigger noticed before insert on baton.job for each row execute function baton.noop()`,
    ],
  ] as const) {
    it(`shows ${name}`, async (t) => {
      const database = await aDatabase(t);
      const before = await describeSchema(database);

      await database.query(new Statement([change], []));

      assert.notEqual(await describeSchema(database), before);
    });
  }

  for (const [name, change, expected] of [
    ["a domain", "create domain baton.colour as text", /type baton\.colour/],
    ["a sequence of its own", "create sequence baton.counter", /sequence baton\.counter/],
    [
      "a materialized view",
      "create materialized view baton.m as select 1 as one",
      /baton\.m of kind m/,
    ],
    ["statistics", "create statistics baton.s on state, priority from baton.job", /statistics s/],
    [
      "a rule",
      "create rule r as on delete to baton.queue do instead nothing",
      /rule r on baton\.queue/,
    ],
    [
      "a replica identity by an index",
      "alter table baton.queue replica identity using index queue_pkey",
      /replica identity of baton\.queue/,
    ],
  ] as const) {
    it(`refuses ${name}, which it cannot describe`, async (t) => {
      const database = await aDatabase(t);
      await database.query(new Statement([change], []));

      await assert.rejects(describeSchema(database), expected);
    });
  }
});

async function anEmptyDatabase(t: TestContext): Promise<Database> {
  const database = openDatabase({
    connection: await anEmptyDatabaseConnection(t),
    connectionsMax: 1,
    applicationName: "test",
    onError: () => undefined,
  });
  t.after(() => database.close());
  return database;
}
