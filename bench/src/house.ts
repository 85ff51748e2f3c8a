/**
 * What all systems share: one PostgreSQL with Baton's own settings (`fsync` and `synchronous_commit` on), a new database
 * for each measurement, and a directory for their files.
 */
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import pg from "pg";

import { startEmbeddedPostgres } from "../../packages/server/src/postgres/embedded.ts";
import type { House } from "./systems/system.ts";

export interface OwnedHouse extends House, AsyncDisposable {
  /** Such as "18.4". */
  readonly postgresVersion: string;
  /** A setting as PostgreSQL has it, such as "on". */
  setting(name: string): Promise<string>;
  /** Has PostgreSQL write out what is dirty, so that no later measurement pays for it. */
  checkpoint(): Promise<void>;
}

/** Starts PostgreSQL in a new directory. Disposing of the house removes everything. */
export async function openHouse(): Promise<OwnedHouse> {
  const directory = await mkdtemp(join(tmpdir(), "baton-bench-"));
  // As root, PostgreSQL's account must be able to pass.
  await chmod(directory, 0o711);
  const postgres = await startEmbeddedPostgres({ dataDirectory: join(directory, "data") });
  const admin = new pg.Client(postgres.connection);
  // It hears of a stop of PostgreSQL that comes in the middle of a run.
  admin.on("error", () => undefined);
  await admin.connect();
  const setting = async (name: string): Promise<string> => {
    const { rows } = await admin.query<{ value: string }>("select current_setting($1) as value", [
      name,
    ]);
    return rows[0]?.value ?? "";
  };
  let directoryCount = 0;
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
