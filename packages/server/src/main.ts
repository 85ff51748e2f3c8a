/** The server from start to stop. Reads as a table of contents. */
import type pg from "pg";
import type { Logger } from "pino";

import { createGrpcServer } from "./api/grpc/server.ts";
import { workerStream } from "./api/grpc/worker-stream.ts";
import { createHttpApp } from "./api/http.ts";
import type { Config } from "./config.ts";
import { DATABASE_ANSWER_MS_MAX, READ_CONNECTIONS_MAX, READ_MS_MAX } from "./domain/limits.ts";
import { startEngine } from "./engine.ts";
import type { AppError } from "./errors.ts";
import { asAddressInUse, requireFreePorts } from "./ports.ts";
import { defaultDataDirectory } from "./postgres/data-directory.ts";
import { superviseEmbeddedPostgres, type SupervisedPostgres } from "./postgres/supervise.ts";
import { openDatabase, type Database } from "./store/db.ts";
import { migrate } from "./store/migrate.ts";
import { VERSION } from "./version.ts";

/** What is under way when a stop begins may take so long. */
const SHUTDOWN_MS = 10_000;

export interface RunningServer {
  readonly httpPort: number;
  readonly grpcPort: number;
  /** Data directory of the embedded PostgreSQL; absent with the user's own. */
  readonly dataDirectory: string | undefined;
  /** Resolves when the server can not go on and must be stopped. */
  readonly failed: Promise<AppError>;
  /** Stops everything in reverse order. `onStep` is told what is being stopped. */
  stop(onStep?: (step: string) => void): Promise<void>;
}

export interface StartOptions {
  readonly config: Config;
  readonly logger: Logger;
  /** Called for each step of a start that takes its time. */
  readonly onStep?: ((step: string) => void) | undefined;
}

/** Starts PostgreSQL if it is the embedded one, then the engine, then the doors. @throws AppError */
export async function startServer({
  config,
  logger,
  onStep,
}: StartOptions): Promise<RunningServer> {
  const stops: (readonly [part: string, stop: () => Promise<void>])[] = [];
  const stop = async (onStopStep?: (step: string) => void): Promise<void> => {
    const failures: unknown[] = [];
    for (const [part, stopPart] of stops.splice(0).reverse()) {
      onStopStep?.(`stopping ${part}`);
      // One that fails must not leave those behind it running, PostgreSQL least of all.
      await stopPart().catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  };
  try {
    await requireFreePorts(config);
    onStep?.("starting PostgreSQL");
    const postgres = await startPostgres(config, logger);
    if (postgres !== undefined) stops.push(["PostgreSQL", () => postgres.stop()]);
    const database = {
      connection: postgres?.connection ?? connectionOf(config),
      applicationName: `baton ${config.serverName}`.slice(0, 63),
      onError: (error: Error) => logger.warn({ err: error }, "an idle database connection broke"),
    };
    onStep?.("migrating the schema");
    await migrateSchema(openDatabase({ ...database, connectionsMax: 1 }), logger);

    const db = openDatabase({
      ...database,
      connectionsMax: config.databaseConnections,
      answerMsMax: DATABASE_ANSWER_MS_MAX,
    });
    stops.push(["the database connections", () => db.close()]);
    const reads = openDatabase({
      ...database,
      connectionsMax: READ_CONNECTIONS_MAX,
      statementMsMax: READ_MS_MAX,
      planning: "fresh",
      answerMsMax: DATABASE_ANSWER_MS_MAX,
    });
    stops.push(["the database connections for reading", () => reads.close()]);

    onStep?.("starting the engine");
    const engine = await startEngine({
      ...config,
      name: config.serverName,
      version: VERSION,
      db,
      reads,
      logger,
    });
    stops.push(["the engine", () => engine.stop()]);

    const { operations } = engine;
    const grpc = createGrpcServer({
      operations,
      workerConnect: workerStream({ ...config, ...engine, logger }),
      serverId: engine.serverId,
      logger,
      payloadBytesMax: config.payloadBytesMax,
    });
    const grpcPort = await grpc.listen(`${hostInAddress(config.host)}:${config.grpcPort}`);
    stops.push(["gRPC", () => grpc.shutdown(SHUTDOWN_MS)]);
    stops.push(["worker connections", async () => engine.drain()]);
    const http = createHttpApp({
      operations,
      version: VERSION,
      logger,
      payloadBytesMax: config.payloadBytesMax,
    });
    stops.push(["HTTP", () => http.close()]);
    const httpPort = await listen(http, config);

    logger.info({ httpPort, grpcPort, server: config.serverName }, "ready");
    return {
      httpPort,
      grpcPort,
      dataDirectory: postgres?.dataDirectory,
      failed: postgres?.failed ?? new Promise(() => undefined),
      stop,
    };
  } catch (error) {
    await stop(onStep).catch((stopError: unknown) =>
      logger.warn({ err: stopError }, "a part could not be stopped in order"),
    );
    throw error;
  }
}

async function startPostgres(
  config: Config,
  logger: Logger,
): Promise<(SupervisedPostgres & { readonly dataDirectory: string }) | undefined> {
  if (config.databaseUrl !== undefined) return undefined;
  const dataDirectory = config.dataDirectory ?? (await defaultDataDirectory());
  const postgres = await superviseEmbeddedPostgres({
    dataDirectory,
    onLog: (message) => logger.info(message),
  });
  return Object.assign(postgres, { dataDirectory });
}

/** An IPv6 address stands in brackets before a port. */
function hostInAddress(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

function connectionOf(config: Config): pg.ClientConfig {
  return { connectionString: config.databaseUrl };
}

/** On a connection of its own: a migration may take its time. */
async function migrateSchema(db: Database, logger: Logger): Promise<void> {
  try {
    await migrate(db, { onApplied: (name) => logger.info({ migration: name }, "migrated") });
  } finally {
    await db.close();
  }
}

async function listen(http: ReturnType<typeof createHttpApp>, config: Config): Promise<number> {
  try {
    await http.listen({ host: config.host, port: config.httpPort });
  } catch (error) {
    throw asAddressInUse(error, "HTTP", config.host, config.httpPort, "BATON_HTTP_PORT");
  }
  const address = http.server.address();
  if (address === null || typeof address === "string") throw new Error("HTTP listens on no port");
  return address.port;
}
