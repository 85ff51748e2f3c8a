/**
 * What all systems share: one PostgreSQL with Baton's own settings (`fsync` and `synchronous_commit` on) and an autovacuum
 * that looks more often, a new database for each measurement, and a directory for their files.
 */
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import pg from "pg";

import { startEmbeddedPostgres } from "../../packages/server/src/postgres/embedded.ts";
import type { House } from "./systems/system.ts";

/** What one statement of SQL did in all its calls. */
export interface Statement {
  readonly text: string;
  readonly calls: number;
  readonly rows: number;
  readonly milliseconds: number;
}

export interface OwnedHouse extends House, AsyncDisposable {
  /** Such as "18.4". */
  readonly postgresVersion: string;
  /** A setting as PostgreSQL has it, such as "on". */
  setting(name: string): Promise<string>;
  /** Statements of a database since the last call, those that took most time first. Empty when they are not counted. */
  statements(database: string): Promise<readonly Statement[]>;
  /** Has PostgreSQL write out what is dirty, so that no later measurement pays for it. */
  checkpoint(): Promise<void>;
}

/**
 * Starts PostgreSQL in a new directory. Disposing of the house removes everything.
 *
 * @param options `hasStatements`: PostgreSQL counts statements, which costs a few percent
 */
export async function openHouse(options: { readonly hasStatements: boolean }): Promise<OwnedHouse> {
  const directory = await mkdtemp(join(tmpdir(), "baton-bench-"));
  // As root, PostgreSQL's account must be able to pass.
  await chmod(directory, 0o711);
  const dataDirectory = join(directory, "data");
  if (options.hasStatements) await preloadStatements(dataDirectory);
  const postgres = await startEmbeddedPostgres({ dataDirectory });
  const admin = new pg.Client(postgres.connection);
  // It hears of a stop of PostgreSQL that comes in the middle of a run.
  admin.on("error", () => undefined);
  await admin.connect();
  // Baton vacuums its own table of live jobs; that of a peer lives from autovacuum looking often.
  await admin.query("alter system set autovacuum_naptime = '5s'");
  await admin.query("select pg_reload_conf()");
  const setting = async (name: string): Promise<string> => {
    const { rows } = await admin.query<{ value: string }>("select current_setting($1) as value", [
      name,
    ]);
    return rows[0]?.value ?? "";
  };
  let directoryCount = 0;
  if (options.hasStatements) await admin.query("create extension pg_stat_statements");
  return {
    postgresPid: postgres.pid,
    postgresVersion: (await setting("server_version")).split(" ")[0] ?? "",
    setting,
    createDatabase: async (name) => {
      await admin.query(`drop database if exists ${name} with (force)`);
      await admin.query(`create database ${name}`);
      const { host, user, password } = postgres.connection;
      const login = `${encodeURIComponent(String(user))}:${encodeURIComponent(String(password))}`;
      return `postgresql://${login}@localhost:5432/${name}?host=${encodeURIComponent(String(host))}`;
    },
    dropDatabase: async (name) => {
      await admin.query(`drop database if exists ${name} with (force)`);
      // What one system wrote must not be written out to disk during another one's turn.
      await admin.query("checkpoint");
    },
    statements: async (database) => {
      if (!options.hasStatements) return [];
      const { rows } = await admin.query<Statement>(STATEMENTS, [database]);
      await admin.query("select pg_stat_statements_reset()");
      return rows;
    },
    checkpoint: async () => {
      await admin.query("checkpoint");
    },
    createDirectory: async (name) => {
      directoryCount += 1;
      const path = join(directory, `${name}-${directoryCount}`);
      await mkdir(path);
      await chmod(path, 0o711);
      return path;
    },
    [Symbol.asyncDispose]: async () => {
      await postgres.stop();
      await admin.end().catch(() => undefined);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The library must be there when PostgreSQL starts. */
async function preloadStatements(dataDirectory: string): Promise<void> {
  const postgres = await startEmbeddedPostgres({ dataDirectory });
  const client = new pg.Client(postgres.connection);
  await client.connect();
  await client.query("alter system set shared_preload_libraries = 'pg_stat_statements'");
  await client.end();
  await postgres.stop();
}

const STATEMENTS = `
  select regexp_replace(query, '\\s+', ' ', 'g') as text,
         calls::float8 as calls,
         rows::float8 as rows,
         total_exec_time as milliseconds
    from pg_stat_statements
    join pg_database on pg_database.oid = dbid
   where datname = $1
   order by total_exec_time desc`;
