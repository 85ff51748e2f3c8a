import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, it, type TestContext } from "node:test";

import { anEmptyDatabaseConnection } from "../../test/database.ts";
import { openDatabase, type Database } from "./db.ts";
import { migrate, migrationStatus } from "./migrate.ts";
import { sql } from "./sql.ts";

const FIRST =
  "create table baton.first (id integer primary key);\ninsert into baton.first values (1), (2);\n";
const SECOND = "alter table baton.first add column note text;\n";

describe("migrate", () => {
  it("applies all files in order and records them", async (t) => {
    const database = await anEmptyDatabase(t);
    const directory = await migrations(t, { "0001-first.sql": FIRST, "0002-note.sql": SECOND });

    const { applied } = await migrate(database, { directory });

    assert.deepEqual(applied, ["0001-first", "0002-note"]);
    const rows = await database.query(sql`select id, note from baton.first order by id`);
    assert.deepEqual(rows, [
      { id: 1, note: null },
      { id: 2, note: null },
    ]);
    const status = await migrationStatus(database, { directory });
    assert.deepEqual(
      status.applied.map(({ number, name }) => ({ number, name })),
      [
        { number: 1, name: "0001-first" },
        { number: 2, name: "0002-note" },
      ],
    );
    assert.deepEqual(status.pending, []);
  });

  it("applies nothing the second time", async (t) => {
    const database = await anEmptyDatabase(t);
    const directory = await migrations(t, { "0001-first.sql": FIRST });
    await migrate(database, { directory });

    assert.deepEqual(await migrate(database, { directory }), { applied: [] });
  });

  it("applies each file once when many servers start together", async (t) => {
    const database = await anEmptyDatabase(t);
    const directory = await migrations(t, { "0001-first.sql": FIRST, "0002-note.sql": SECOND });

    const results = await Promise.all(
      Array.from({ length: 8 }, () => migrate(database, { directory })),
    );

    assert.deepEqual(results.flatMap(({ applied }) => applied).sort(), ["0001-first", "0002-note"]);
  });

  it("leaves nothing of a file that fails, and names the file and line", async (t) => {
    const database = await anEmptyDatabase(t);
    const directory = await migrations(t, {
      "0001-first.sql": FIRST,
      "0002-broken.sql":
        "create table baton.half (id integer);\nselect nonsense from baton.half;\n",
    });

    await assert.rejects(migrate(database, { directory }), /0002-broken, line 2: .*nonsense/);

    const status = await migrationStatus(database, { directory });
    assert.deepEqual(status.pending, ["0002-broken"]);
    const half = await database.query(sql`select where to_regclass('baton.half') is not null`);
    assert.equal(half.length, 0);
  });

  it("refuses a database that a newer program has migrated", async (t) => {
    const database = await anEmptyDatabase(t);
    await migrate(database, {
      directory: await migrations(t, { "0001-first.sql": FIRST, "0002-note.sql": SECOND }),
    });
    const directory = await migrations(t, { "0001-first.sql": FIRST });

    await assert.rejects(migrate(database, { directory }), { code: "schema_too_new" });
    await assert.rejects(migrationStatus(database, { directory }), { code: "schema_too_new" });
  });

  it("refuses an applied file that was edited", async (t) => {
    const database = await anEmptyDatabase(t);
    await migrate(database, { directory: await migrations(t, { "0001-first.sql": FIRST }) });
    const directory = await migrations(t, { "0001-first.sql": `${FIRST}-- harmless\n` });

    await assert.rejects(migrate(database, { directory }), {
      code: "invalid_config",
      message: /0001-first was applied .* must not be edited/,
    });
  });

  it("takes a file with other ends of lines for the same", async (t) => {
    const database = await anEmptyDatabase(t);
    await migrate(database, { directory: await migrations(t, { "0001-first.sql": FIRST }) });
    const directory = await migrations(t, { "0001-first.sql": FIRST.replaceAll("\n", "\r\n") });

    assert.deepEqual(await migrate(database, { directory }), { applied: [] });
  });

  for (const [name, files, expected] of [
    [
      "a gap in the numbers",
      { "0001-a.sql": "", "0003-c.sql": "" },
      /expected number 2, found 0003-c/,
    ],
    ["a number twice", { "0001-a.sql": "", "0001-b.sql": "" }, /expected number 2, found 0001-b/],
    ["a name without a number", { "jobs.sql": "" }, /named like 0001-jobs.sql; found jobs.sql/],
  ] as const) {
    it(`refuses ${name}`, async (t) => {
      const database = await anEmptyDatabase(t);
      const directory = await migrations(t, files);

      await assert.rejects(migrate(database, { directory }), {
        code: "invalid_config",
        message: expected,
      });
    });
  }

  it("gives up with unavailable while another session holds the table", async (t) => {
    const database = await anEmptyDatabase(t);
    await migrate(database, { directory: await migrations(t, { "0001-first.sql": FIRST }) });
    const directory = await migrations(t, { "0001-first.sql": FIRST, "0002-note.sql": SECOND });

    await database.transaction(async (tx) => {
      await tx.query(sql`lock table baton.first in access share mode`);
      await assert.rejects(migrate(database, { directory, lockTimeoutMs: 1 }), {
        code: "unavailable",
      });
    });

    assert.deepEqual((await migrate(database, { directory })).applied, ["0002-note"]);
  });
});

describe("migrationStatus", () => {
  it("reports all files as pending, and changes nothing, on an empty database", async (t) => {
    const database = await anEmptyDatabase(t);
    const directory = await migrations(t, { "0001-first.sql": FIRST });

    assert.deepEqual(await migrationStatus(database, { directory }), {
      applied: [],
      pending: ["0001-first"],
    });
    const schemas = await database.query(sql`select where to_regnamespace('baton') is not null`);
    assert.equal(schemas.length, 0);
  });
});

async function anEmptyDatabase(t: TestContext): Promise<Database> {
  const database = openDatabase({
    connection: await anEmptyDatabaseConnection(t),
    connectionsMax: 10,
    applicationName: "test",
    onError: () => undefined,
  });
  t.after(() => database.close());
  return database;
}

async function migrations(
  t: TestContext,
  files: Readonly<Record<string, string>>,
): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "baton-migrations-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files))
    await writeFile(path.join(directory, name), text);
  return directory;
}
