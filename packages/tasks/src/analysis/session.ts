/**
 * A DuckDB that sees one data source and nothing else. Guarantees that SQL from a job reads no other file, writes none,
 * reaches no network, loads no extension, cannot lift these limits, and stays within a bound of memory:
 *
 * - `allowed_paths` holds the one source file, `enable_external_access` is off;
 * - extensions are neither installed nor loaded on demand (CSV, JSON and Parquet are built in);
 * - the configuration is locked before the job's SQL is seen;
 * - only one SELECT statement is run, so nothing can overwrite the source file, which DuckDB may open;
 * - nothing spills to disk.
 */
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

import type * as DuckDb from "@duckdb/node-api";
import type { DuckDBConnection, DuckDBPreparedStatement, DuckDBValue } from "@duckdb/node-api";

import { fatal } from "../faults.ts";

export const DATA_FORMATS = ["csv", "json", "parquet"] as const;
export type DataFormat = (typeof DATA_FORMATS)[number];

export interface DataSource {
  readonly file: string;
  readonly format: DataFormat;
  readonly csv: CsvOptions;
}

/** Absent: DuckDB finds out. */
export interface CsvOptions {
  /** One character. */
  readonly delimiter?: string | undefined;
  readonly hasHeader?: boolean | undefined;
}

export type SqlParameters = Readonly<Record<string, string | number | boolean | null>>;

const THREADS_MAX = 2;
/** How often an interrupt is repeated: one that comes between two statements is lost. */
const INTERRUPT_MS = 20;

export class AnalysisSession implements Disposable {
  readonly duckdb: typeof DuckDb;
  readonly connection: DuckDBConnection;
  readonly #close: () => void;

  private constructor(duckdb: typeof DuckDb, connection: DuckDBConnection, close: () => void) {
    this.duckdb = duckdb;
    this.connection = connection;
    this.#close = close;
  }

  /** Opens a locked session in which the source is the table `data`. */
  static async open(source: DataSource, memoryMegabytesMax: number): Promise<AnalysisSession> {
    const duckdb = await import("@duckdb/node-api");
    const instance = await duckdb.DuckDBInstance.create(":memory:", {
      threads: String(Math.min(THREADS_MAX, availableParallelism())),
      memory_limit: `${memoryMegabytesMax}MB`,
      temp_directory: "",
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
      allow_community_extensions: "false",
      allow_persistent_secrets: "false",
    });
    const connection = await instance.connect();
    const close = () => {
      connection.closeSync();
      instance.closeSync();
    };
    try {
      await connection.run(`set allowed_paths = [${quoted(source.file)}]`);
      await connection.run("set enable_external_access = false");
      await connection.run("set lock_configuration = true");
      await connection.run(`create view data as from ${reader(source)}`);
    } catch (error) {
      close();
      throw error;
    }
    return new AnalysisSession(duckdb, connection, close);
  }

  /**
   * Prepares the job's one SELECT.
   *
   * @throws Fatal for anything but one SELECT
   */
  async prepare(sql: string, parameters: SqlParameters): Promise<DuckDBPreparedStatement> {
    const statements = await this.connection.extractStatements(sql);
    if (statements.count !== 1) {
      throw fatal("sql_refused", `Expected one SQL statement; received ${statements.count}.`);
    }
    const statement = await statements.prepare(0);
    if (statement.statementType !== this.duckdb.StatementType.SELECT) {
      throw fatal(
        "sql_refused",
        "Expected a SELECT (or FROM, WITH, VALUES, DESCRIBE, SUMMARIZE) statement; received a statement of another kind.",
      );
    }
    const values: Record<string, DuckDBValue> = { ...parameters };
    if (Object.keys(values).length > 0) statement.bind(values);
    return statement;
  }

  [Symbol.dispose](): void {
    this.#close();
  }
}

/** Interrupts whatever the connection runs, from when the signal aborts until `work` has ended. */
export async function interruptedBy<Result>(
  connection: DuckDBConnection,
  signal: AbortSignal,
  work: Promise<Result>,
): Promise<Result> {
  const ended = new AbortController();
  const interrupt = async () => {
    while (!ended.signal.aborted) {
      connection.interrupt();
      await sleep(INTERRUPT_MS);
    }
  };
  const start = () => void interrupt();
  if (signal.aborted) start();
  signal.addEventListener("abort", start, { once: true });
  try {
    return await work;
  } finally {
    ended.abort();
    signal.removeEventListener("abort", start);
  }
}

function reader({ file, format, csv }: DataSource): string {
  switch (format) {
    case "csv": {
      const options = [
        csv.delimiter === undefined ? "" : `, delim = ${quoted(csv.delimiter)}`,
        csv.hasHeader === undefined ? "" : `, header = ${csv.hasHeader}`,
      ];
      return `read_csv(${quoted(file)}${options.join("")})`;
    }
    case "json":
      return `read_json(${quoted(file)})`;
    case "parquet":
      return `read_parquet(${quoted(file)})`;
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
