/**
 * Brings a database to the schema that this program knows, by numbered files of plain SQL.
 *
 * Each file runs in one transaction together with its row in `baton.migration`, under an advisory lock: any number of
 * servers may start at once, and one that dies half way leaves nothing behind. Forward only; a released file is never
 * edited. Statements that cannot run in a transaction (`create index concurrently`) have no place in a migration.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { AppError } from "../errors.ts";
import type { Database, Db } from "./db.ts";
import { errorCode } from "./error-code.ts";
import { sql, Statement } from "./sql.ts";

export interface MigrateOptions {
  /** Where the files are. @default the package's own `migrations/` */
  readonly directory?: string;
  /**
   * How long one statement may wait for a table that running servers use, before the migration steps back and tries
   * again: while it waits, everybody behind it waits too. @default 2 000, at most 60 000
   */
  readonly lockTimeoutMs?: number;
  /** Called after each file's commit, with its name. */
  readonly onApplied?: (name: string) => void;
}

/** What a database has, against what the program knows. */
export interface MigrationStatus {
  readonly applied: readonly AppliedMigration[];
  /** Names, in the order in which they would be applied. */
  readonly pending: readonly string[];
}

export interface AppliedMigration {
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
  readonly appliedAt: Date;
}

interface MigrationFile {
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
  readonly text: string;
}

const DEFAULT_DIRECTORY = path.resolve(import.meta.dirname, "../../migrations");
const LOCK_TIMEOUT_MS_DEFAULT = 2_000;
const LOCK_ATTEMPTS_MAX = 10;
const LOCK_RETRY_MS = 250;
/** Another server's migration of a large table. */
const ADVISORY_WAIT_MS_MAX = 10 * 60_000;
// "baton" in ASCII: the same number in every version, so that old and new programs exclude each other.
const ADVISORY_KEY = 0x62_61_74_6f_6e;
const SERVER_VERSION_MIN = 150_000;

/**
 * Applies what is missing, in order. Idempotent; safe to call from many processes at once.
 *
 * @returns the names of the files that this call applied
 * @throws AppError schema_too_new when the database has a migration that this program does not know
 * @throws AppError invalid_config when an applied file has changed or is missing, or a file has a wrong name
 * @throws AppError postgres_version_mismatch when the server is older than PostgreSQL 15
 * @throws AppError unavailable when other sessions keep the tables locked
 */
export async function migrate(
  database: Database,
  options: MigrateOptions = {},
): Promise<{ readonly applied: readonly string[] }> {
  const files = await readMigrations(options.directory ?? DEFAULT_DIRECTORY);
  await requireServerVersion(database);
  await database.transaction(prepare);

  const applied: string[] = [];
  for (const file of pendingOf(files, await migrationList(database))) {
    if (await applyPatiently(database, file, files, options)) {
      applied.push(file.name);
      options.onApplied?.(file.name);
    }
  }
  return { applied };
}

/**
 * Compares a database with the program's files and changes nothing.
 *
 * @throws AppError as {@link migrate}, for a database that cannot be migrated
 */
export async function migrationStatus(
  database: Db,
  options: Pick<MigrateOptions, "directory"> = {},
): Promise<MigrationStatus> {
  const files = await readMigrations(options.directory ?? DEFAULT_DIRECTORY);
  const applied = (await hasMigrationTable(database)) ? await migrationList(database) : [];
  return { applied, pending: pendingOf(files, applied).map((file) => file.name) };
}

/** Steps back and tries again when the tables are in use. */
async function applyPatiently(
  database: Database,
  file: MigrationFile,
  files: readonly MigrationFile[],
  options: MigrateOptions,
): Promise<boolean> {
  const lockTimeoutMs = options.lockTimeoutMs ?? LOCK_TIMEOUT_MS_DEFAULT;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await database.transaction((tx) => applyOne(tx, file, files, lockTimeoutMs));
    } catch (error) {
      if (errorCode(error) !== "55P03") throw error;
      if (attempt === LOCK_ATTEMPTS_MAX) {
        throw new AppError(
          "unavailable",
          `Migration ${file.name} could not lock its tables within ${lockTimeoutMs} ms in ${attempt} attempts: other ` +
            "sessions hold them. Look for long transactions in pg_stat_activity, end them, and try again.",
          { migration: file.name },
          { cause: error },
        );
      }
      await sleep(LOCK_RETRY_MS);
    }
  }
}

/** @returns false when another process applied the file meanwhile */
async function applyOne(
  tx: Db,
  file: MigrationFile,
  files: readonly MigrationFile[],
  lockTimeoutMs: number,
): Promise<boolean> {
  await lockMigrations(tx);
  if (!pendingOf(files, await migrationList(tx)).includes(file)) return false;
  await setLockTimeout(tx, lockTimeoutMs);
  await runScript(tx, file);
  await tx.query(sql`
    insert into baton.migration (number, name, checksum)
    values (${file.number}, ${file.name}, ${file.checksum})`);
  return true;
}

async function runScript(tx: Db, file: MigrationFile): Promise<void> {
  try {
    // Without parameters the driver sends the text as it is, and it may hold many statements.
    await tx.query(new Statement([file.text], []));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if ("position" in error && typeof error.position === "string") {
      const line = file.text.slice(0, Number(error.position)).split("\n").length;
      error.message = `${file.name}, line ${line}: ${error.message}`;
    }
    throw error;
  }
}

/** Makes what the runner itself needs. A user who may not create schemas can be given an existing one. */
async function prepare(tx: Db): Promise<void> {
  if (await hasMigrationTable(tx)) return;
  await lockMigrations(tx);
  const [schema] = await tx.query(sql`select from pg_namespace where nspname = 'baton'`);
  if (schema === undefined) await tx.query(sql`create schema baton`);
  await tx.query(sql`
    create table if not exists baton.migration (
      number     integer     primary key check (number > 0),
      name       text        not null unique,
      checksum   text        not null,
      applied_at timestamptz not null default now()
    )`);
}

/** Held until the transaction ends; works behind a connection pooler too. */
async function lockMigrations(tx: Db): Promise<void> {
  await setLockTimeout(tx, ADVISORY_WAIT_MS_MAX);
  await tx.query(sql`select pg_advisory_xact_lock(${ADVISORY_KEY})`);
}

async function setLockTimeout(tx: Db, timeoutMs: number): Promise<void> {
  await tx.query(sql`select set_config('lock_timeout', ${String(timeoutMs)}, true)`);
}

async function hasMigrationTable(db: Db): Promise<boolean> {
  const rows = await db.query(sql`select where to_regclass('baton.migration') is not null`);
  return rows.length > 0;
}

async function migrationList(db: Db): Promise<readonly AppliedMigration[]> {
  return db.query<AppliedMigration>(sql`
    select number, name, checksum, applied_at as "appliedAt"
      from baton.migration
     order by number`);
}

async function requireServerVersion(db: Db): Promise<void> {
  const [row] = await db.query<{ number: number; text: string }>(sql`
    select current_setting('server_version_num')::integer as number,
           current_setting('server_version')              as text`);
  if (row === undefined || row.number >= SERVER_VERSION_MIN) return;
  throw new AppError(
    "postgres_version_mismatch",
    `Baton needs PostgreSQL 15 or newer, and this server is ${row.text}. ` +
      "Upgrade it, or leave DATABASE_URL out to use the embedded PostgreSQL.",
    { found: row.text },
  );
}

/**
 * What the database lacks.
 *
 * @throws AppError schema_too_new, invalid_config
 */
function pendingOf(
  files: readonly MigrationFile[],
  applied: readonly AppliedMigration[],
): readonly MigrationFile[] {
  const known = new Map(files.map((file) => [file.number, file]));
  const newest = files.at(-1)?.number ?? 0;
  for (const migration of applied) {
    if (migration.number > newest) {
      throw new AppError(
        "schema_too_new",
        `The database has migration ${migration.name}, and this Baton knows none above ${newest}: ` +
          "a newer Baton has used it. Start that version or a newer one, or use another database.",
        { database: migration.number, program: newest },
      );
    }
    const file = known.get(migration.number);
    if (file === undefined || file.checksum !== migration.checksum) {
      throw new AppError(
        "invalid_config",
        `Migration ${migration.name} was applied on ${migration.appliedAt.toISOString()} with another text than ` +
          `${file === undefined ? "the missing file" : file.name} has. An applied migration must not be edited: ` +
          "put the file back as it was, and the change into a new file. (A throw-away database can be made anew.)",
        { migration: migration.name },
      );
    }
  }
  const done = new Set(applied.map((migration) => migration.number));
  return files.filter((file) => !done.has(file.number));
}

async function readMigrations(directory: string): Promise<readonly MigrationFile[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(".sql")).sort();
  const files = await Promise.all(names.map((name) => readMigration(directory, name)));
  files.forEach((file, index) => {
    if (file.number === index + 1) return;
    throw new AppError(
      "invalid_config",
      `Migrations are numbered without gaps: expected number ${index + 1}, found ${file.name}.sql in ${directory}.`,
      { file: file.name },
    );
  });
  return files;
}

async function readMigration(directory: string, fileName: string): Promise<MigrationFile> {
  const match = /^(\d{4})-[a-z0-9]+(-[a-z0-9]+)*\.sql$/.exec(fileName);
  if (match === null) {
    throw new AppError(
      "invalid_config",
      `A migration is named like 0001-jobs.sql; found ${fileName} in ${directory}.`,
      { file: fileName },
    );
  }
  // Git on some systems changes the ends of lines, which changes nothing.
  const text = (await readFile(path.join(directory, fileName), "utf8")).replaceAll("\r\n", "\n");
  return {
    number: Number(match[1]),
    name: fileName.slice(0, -".sql".length),
    checksum: createHash("sha256").update(text).digest("hex"),
    text,
  };
}
