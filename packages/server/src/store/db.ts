import pg from "pg";

import { AppError } from "../errors.ts";
import { sql, type Statement } from "./sql.ts";

/** Runs statements: the pool, or one transaction. */
export interface Db {
  /**
   * Runs one statement.
   *
   * @param name keeps the statement prepared on each connection; for hot statements whose text never varies
   */
  query<Row extends object>(statement: Statement, name?: string): Promise<readonly Row[]>;
}

/** The pool of one process. */
export interface Database extends Db {
  /** Runs `work` in one transaction: committed when it returns, rolled back when it throws. */
  transaction<Result>(work: (tx: Db) => Promise<Result>): Promise<Result>;
  /** Opens a connection of its own, outside the pool, for LISTEN, session locks and vacuum. The caller ends it. */
  connect(applicationName: string): Promise<pg.Client>;
  /** Aborted by {@link abandon}. */
  readonly abandoned: AbortSignal;
  /** Breaks all connections off, and whoever waits for the database to come back stops waiting. */
  abandon(): void;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** A connection string, or the parts that the embedded PostgreSQL gives. */
  readonly connection: pg.ClientConfig;
  readonly connectionsMax: number;
  readonly applicationName: string;
  /** A statement that takes longer is cancelled by PostgreSQL. Absent: none is. */
  readonly statementMsMax?: number | undefined;
  /** steady: for batches by key, plans that do not depend on statistics; fresh: for filters and lists. Default steady. */
  readonly planning?: "steady" | "fresh" | undefined;
  /** A connection that leaves a statement without an answer for so long counts as broken. Absent: none does. */
  readonly answerMsMax?: number | undefined;
  /** Called for a connection that broke while idle; the pool replaces it. */
  readonly onError: (error: Error) => void;
}

// bigint columns hold counters and ids far below 2^53.
const INT8_OID = 20;
const types = new pg.TypeOverrides();
types.setTypeParser(INT8_OID, Number);

/**
 * The tables of a queue change faster than statistics: `baton.job` was empty when they were taken, and has a million rows
 * now, or the other way round. So the engine leaves PostgreSQL no choice that depends on them. Its statements name rows by
 * key, find them by index, and join batches by hash; nested loops over two batches, and scans of a whole table or index,
 * remain for where nothing else is possible. With statistics of an empty table, ending 1,000 attempts took 250 ms instead
 * of 15. Plans are made once for each connection: making one takes up to 3 ms.
 */
const STEADY_PLANS =
  "set enable_seqscan = off; set enable_bitmapscan = off; set enable_nestloop = off; " +
  "set plan_cache_mode = force_generic_plan; ";

/** A host that is gone is noticed, on every connection. */
const PATIENCE = {
  connectionTimeoutMillis: 10_000,
  keepAlive: true,
  keepAliveInitialDelayMillis: 10_000,
};

/** Opens a pool. Connections are made when first needed. */
export function openDatabase(options: DatabaseOptions): Database {
  const config = { ...options.connection, types, application_name: options.applicationName };
  const settings =
    (options.planning === "fresh" ? "" : STEADY_PLANS) +
    // Disabled nodes look expensive to PostgreSQL before 18, which must not start the JIT compiler.
    `set jit = off; set statement_timeout = ${options.statementMsMax ?? 0}`;
  const pool = new pg.Pool({
    ...config,
    max: options.connectionsMax,
    ...PATIENCE,
    idleTimeoutMillis: 60_000,
    // oxlint-disable-next-line typescript/no-misused-promises -- pg-pool awaits it before the first use of the connection
    onConnect: (client) => client.query(settings).then(() => undefined),
  });
  pool.on("error", options.onError);
  const clients = new Set<pg.Client>();
  pool.on("connect", (client) => clients.add(client));
  pool.on("remove", (client) => clients.delete(client));
  const abandonment = new AbortController();
  const { signal: abandoned } = abandonment;
  const { answerMsMax } = options;
  const withConnection = async <Result>(
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> => {
    if (abandoned.aborted) throw new Error("Connection ended: the database was abandoned");
    return withClient(pool, (client) => work({ client, answerMsMax }));
  };
  return {
    query: (statement, name) => withConnection((connection) => run(connection, statement, name)),
    transaction: (work) => withConnection((connection) => inTransaction(connection, work)),
    connect: async (applicationName) => {
      const client = new pg.Client({
        ...config,
        ...PATIENCE,
        application_name: applicationName,
      });
      client.on("error", ignoreBreak);
      clients.add(client);
      client.once("end", () => clients.delete(client));
      await client.connect();
      return client;
    },
    abandoned,
    abandon: () => {
      abandonment.abort();
      for (const client of clients) breakOff(client);
    },
    close: async () => {
      // A server that stops in the same moment may be faster than the goodbye; that is of no interest any more.
      pool.off("error", options.onError).on("error", () => undefined);
      await pool.end();
    },
  };
}

/** A connection of the pool, with a bound on how long it may leave a statement without an answer. */
interface Connection {
  readonly client: pg.PoolClient;
  readonly answerMsMax: number | undefined;
}

async function run<Row extends object>(
  { client, answerMsMax }: Connection,
  statement: Statement,
  name?: string,
): Promise<readonly Row[]> {
  const { text, values } = statement.compile();
  const silence =
    answerMsMax === undefined ? undefined : setTimeout(() => breakOff(client), answerMsMax);
  try {
    const result = await client.query<Row>({ text, values: [...values], ...(name && { name }) });
    return result.rows;
  } finally {
    clearTimeout(silence);
  }
}

/**
 * A host that vanished sends no goodbye, and TCP goes on sending to it for a quarter of an hour. Whoever waits for its
 * answer hears that the connection is broken, as if the host had been shut down.
 */
function breakOff(client: Pick<pg.Client, "connection">): void {
  client.connection.stream.destroy(new Error("Connection terminated: no answer came in time"));
}

async function withClient<Result>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  client.on("error", ignoreBreak);
  let failure: unknown;
  try {
    return await work(client);
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    client.off("error", ignoreBreak);
    // A connection that broke must not return to the pool.
    client.release(failure instanceof Error && isConnectionError(failure) ? failure : undefined);
  }
}

async function inTransaction<Result>(
  connection: Connection,
  work: (tx: Db) => Promise<Result>,
): Promise<Result> {
  try {
    await run(connection, sql`begin`);
    const result = await work({ query: (statement, name) => run(connection, statement, name) });
    await run(connection, sql`commit`);
    return result;
  } catch (error) {
    await run(connection, sql`rollback`).catch(() => undefined);
    throw error;
  }
}

/**
 * A connection that breaks between two statements emits an event, which without a listener ends the process. Its next
 * statement fails, and that is what its user hears.
 */
function ignoreBreak(): void {}

/** Whether an error means that the database was away or dropped the connection, so that a repeat may succeed. */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as NodeJS.ErrnoException).code ?? "";
  return (
    // Class 08: connection exception; 57P01…57P03: shutdown, crash, cannot connect now; 53300: too many connections.
    /^(08...|57P0[1-3]|53300)$/.test(code) ||
    /^(ECONN|EPIPE|ENOENT|ENOTFOUND|ETIMEDOUT|EAI_AGAIN)/.test(code) ||
    /connection (terminated|timeout|ended)|timeout exceeded when trying to connect|not queryable/i.test(
      error.message,
    )
  );
}

/** Whether an error means that two transactions stood in each other's way (class 40): a repeat succeeds. */
export function isConflictError(error: unknown): boolean {
  return error instanceof Error && /^40...$/.test((error as NodeJS.ErrnoException).code ?? "");
}

/** Whether a statement gave up waiting for somebody's lock. */
export function isLockTimeout(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === "55P03";
}

/** Whether a statement was cancelled because it took longer than `statementMsMax`. */
export function isStatementTimeout(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === "57014";
}

/** Whether an error is about the data of the statement (class 22, 23): a repeat fails again. */
export function isDataError(error: unknown): boolean {
  return error instanceof Error && /^2[23]...$/.test((error as NodeJS.ErrnoException).code ?? "");
}

/** Turns a database that is away into `unavailable`; passes every other error on. */
export function asUnavailable(error: unknown): unknown {
  return isConnectionError(error)
    ? new AppError("unavailable", "The database does not answer. Try again.", {}, { cause: error })
    : error;
}
