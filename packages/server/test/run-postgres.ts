/**
 * The PostgreSQL of a run of tests. Apart from database.ts, because whoever imports node:test's hooks counts as a test
 * program and prints totals of its own, which the runner must not.
 */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

import pg from "pg";

import { startEmbeddedPostgres } from "../src/postgres/embedded.ts";

/** The variable that carries the server of the run: a `pg.ClientConfig` as JSON. */
export const TEST_POSTGRES = "BATON_TEST_POSTGRES";

/** A server for tests. */
export interface TestPostgres {
  /** Its maintenance database. */
  readonly connection: pg.ClientConfig;
  /** What the environment of test processes must contain. */
  readonly environment: Readonly<Record<string, string>>;
  /** Stops it and removes its data. */
  stop(): Promise<void>;
}

/** Starts a server for a whole run of tests. */
export async function startTestPostgres(): Promise<TestPostgres> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "baton-test-"));
  // As root, PostgreSQL's account must be able to pass.
  await chmod(directory, 0o711);
  const server = await startEmbeddedPostgres({ dataDirectory: path.join(directory, "data") });
  // A power failure may take the data of tests; without waiting for the disk they are faster.
  await onServer(server.connection, async (client) => {
    await client.query("alter system set fsync = off");
    await client.query("alter system set full_page_writes = off");
    await client.query("select pg_reload_conf()");
  });
  return {
    connection: server.connection,
    environment: { [TEST_POSTGRES]: JSON.stringify(server.connection) },
    stop: async () => {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Runs `work` on one connection. */
export async function onServer(
  server: pg.ClientConfig,
  work: (client: pg.Client) => Promise<unknown>,
): Promise<void> {
  const client = new pg.Client(server);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
