/**
 * Databases for tests: real PostgreSQL, one migrated template for the whole run, a clone for each test that asks.
 *
 * `npm test` starts one server and passes it on in BATON_TEST_POSTGRES. A test file that is run by hand starts its
 * own and stops it at the end.
 */
import { createHash, randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { after } from "node:test";

import type pg from "pg";

import { openDatabase, type Database } from "../src/store/db.ts";
import { migrate } from "../src/store/migrate.ts";
import { onServer, startTestPostgres, TEST_POSTGRES, type TestPostgres } from "./run-postgres.ts";

/** A test, or what collects the cleanups of a suite. */
type Cleanup = { readonly after: (cleanup: () => Promise<void>) => void };

const MIGRATIONS = path.resolve(import.meta.dirname, "../migrations");
const TEMPLATE_KEY = 7_340_032;

/**
 * Gives a migrated, empty database that nobody else uses. It is dropped after the test.
 *
 * @param t the test, or the suite whose tests share the database
 */
export async function aDatabase(t: Cleanup): Promise<Database> {
  const server = await testServer();
  const { connection, drop } = await cloneOf(server, await templateOf(server));
  const database = openDatabase({
    connection,
    connectionsMax: 10,
    applicationName: "test",
    onError: () => undefined,
  });
  t.after(async () => {
    await database.close();
    await drop();
  });
  return database;
}

/** Like {@link aDatabase}, for tests that hand a connection to another process. */
export async function aDatabaseConnection(t: Cleanup): Promise<pg.ClientConfig> {
  const server = await testServer();
  const { connection, drop } = await cloneOf(server, await templateOf(server));
  t.after(drop);
  return connection;
}

/** Gives an empty database without Baton's schema, dropped after the test. */
export async function anEmptyDatabaseConnection(t: Cleanup): Promise<pg.ClientConfig> {
  const { connection, drop } = await cloneOf(await testServer(), "template0");
  t.after(drop);
  return connection;
}

/** The `DATABASE_URL` of a connection. */
export function databaseUrl(connection: pg.ClientConfig): string {
  const url = new URL(`postgres://localhost/${connection.database}`);
  url.username = connection.user ?? "";
  url.password = typeof connection.password === "string" ? connection.password : "";
  url.searchParams.set("host", connection.host ?? "");
  url.searchParams.set("port", String(connection.port));
  return url.href;
}

let ownServer: Promise<TestPostgres> | undefined;

// Here rather than when the server is started, because hooks cannot be added once tests run.
after(async () => {
  await (await ownServer)?.stop();
});

async function testServer(): Promise<pg.ClientConfig> {
  const given = process.env[TEST_POSTGRES];
  if (given !== undefined) return parseConnection(given);
  ownServer ??= startTestPostgres();
  return (await ownServer).connection;
}

function parseConnection(text: string): pg.ClientConfig {
  const value: pg.ClientConfig = JSON.parse(text);
  return value;
}

/** Makes the template once per server and text of the migrations; whoever comes second waits. */
async function templateOf(server: pg.ClientConfig): Promise<string> {
  const name = `template_${await migrationsHash()}`;
  await onServer(server, async (client) => {
    await client.query("select pg_advisory_lock($1)", [TEMPLATE_KEY]);
    const { rowCount } = await client.query(
      "select from pg_database where datname = $1 and datistemplate",
      [name],
    );
    if (rowCount === 1) return;
    await client.query(`drop database if exists ${name} with (force)`);
    await client.query(`create database ${name} template template0`);
    const database = openDatabase({
      connection: { ...server, database: name },
      connectionsMax: 1,
      applicationName: "test template",
      onError: () => undefined,
    });
    try {
      await migrate(database);
    } finally {
      await database.close();
    }
    // Nobody may connect to it any more: a template in use cannot be cloned.
    await client.query(`alter database ${name} with is_template true allow_connections false`);
  });
  return name;
}

async function migrationsHash(): Promise<string> {
  const hash = createHash("sha256");
  for (const name of (await readdir(MIGRATIONS)).sort()) {
    hash.update(name).update(await readFile(path.join(MIGRATIONS, name)));
  }
  return hash.digest("hex").slice(0, 16);
}

async function cloneOf(
  server: pg.ClientConfig,
  template: string,
): Promise<{ readonly connection: pg.ClientConfig; readonly drop: () => Promise<void> }> {
  const name = `test_${randomBytes(8).toString("hex")}`;
  await onServer(server, (client) => client.query(`create database ${name} template ${template}`));
  return {
    connection: { ...server, database: name },
    drop: () =>
      onServer(server, (client) => client.query(`drop database if exists ${name} with (force)`)),
  };
}
