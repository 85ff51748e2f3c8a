/** Settings: one row each, from the environment or from flags of the same meaning. docs/operations.md lists them. */
import { isIPv4 } from "node:net";
import { hostname } from "node:os";
import { z } from "zod";

import {
  IDEMPOTENCY_MS_DEFAULT,
  PAYLOAD_BYTES_MAX_DEFAULT,
  RETENTION_DAYS_MAX,
  RETENTION_DEAD_DAYS_DEFAULT,
  RETENTION_FINISHED_DAYS_DEFAULT,
} from "./domain/limits.ts";
import { AppError } from "./errors.ts";

const DAY_MS = 86_400_000;
/** Digits only: `Number` would take a blank for 0 and "0x50" for 80. */
const whole = (least: number, most: number) =>
  z
    .string()
    .refine(
      (text) => /^\d{1,15}$/.test(text) && Number(text) >= least && Number(text) <= most,
      `must be a whole number from ${least} to ${most}`,
    )
    .transform(Number);
const port = whole(0, 65_535);
const days = whole(1, RETENTION_DAYS_MAX);

/** Name of the variable, what it takes, its default, what it means. */
const SETTINGS = {
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, "must begin with postgres:// or postgresql://")
    .optional()
    .describe("Your own PostgreSQL (15 to 18). Absent: the embedded one."),
  BATON_DATA_DIRECTORY: z
    .string()
    .min(1)
    .optional()
    .describe("Data of the embedded PostgreSQL. Default: .baton here."),
  BATON_HOST: z
    .string()
    .min(1)
    .default("127.0.0.1")
    .describe("Address that HTTP and gRPC listen on."),
  BATON_ALLOW_UNAUTHENTICATED: z
    .enum(["true", "false"])
    .default("false")
    .describe(
      "true: BATON_HOST may be reachable from other machines, although everybody who reaches it may do everything.",
    ),
  BATON_HTTP_PORT: port.default(8080).describe("Port of HTTP. 0: any free one."),
  BATON_GRPC_PORT: port.default(9000).describe("Port of gRPC. 0: any free one."),
  BATON_SERVER_NAME: z
    .string()
    .min(1)
    .max(128)
    .optional()
    .describe("Name of this server. Default: host and process id."),
  BATON_DATABASE_CONNECTIONS: whole(4, 500)
    .default(12)
    .describe(
      "Connections of the engine to PostgreSQL, at most. 6 come on top: 4 to read for lists, 1 for notifications, 1 to vacuum.",
    ),
  BATON_PAYLOAD_BYTES_MAX: whole(1_024, 16 * 1024 * 1024)
    .default(PAYLOAD_BYTES_MAX_DEFAULT)
    .describe("Largest input or result of a job, in bytes."),
  BATON_IDEMPOTENCY_MS: whole(60_000, 365 * DAY_MS)
    .default(IDEMPOTENCY_MS_DEFAULT)
    .describe("How long idempotency keys are kept, in milliseconds."),
  BATON_RETENTION_FINISHED_DAYS: days
    .default(RETENTION_FINISHED_DAYS_DEFAULT)
    .describe("Days that succeeded and cancelled jobs and their results are kept."),
  BATON_RETENTION_DEAD_DAYS: days
    .default(RETENTION_DEAD_DAYS_DEFAULT)
    .describe("Days that dead jobs are kept."),
  BATON_LOG_LEVEL: z
    .enum(["trace", "debug", "info", "warn", "error", "silent"])
    .default("info")
    .describe("What is logged."),
} as const;

const Settings = z.object(SETTINGS);

export interface Config {
  readonly databaseUrl: string | undefined;
  readonly dataDirectory: string | undefined;
  readonly host: string;
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly serverName: string;
  readonly databaseConnections: number;
  readonly payloadBytesMax: number;
  readonly idempotencyMs: number;
  readonly retention: { readonly finishedDays: number; readonly deadDays: number };
  readonly logLevel: string;
}

/** A setting for documentation. */
export interface SettingDoc {
  readonly name: string;
  readonly description: string;
  readonly defaultText: string;
}

/** All settings, in the order of their table. */
export function settingDocs(): readonly SettingDoc[] {
  const defaults: Readonly<Record<string, unknown>> = Settings.parse({});
  return Object.entries(SETTINGS).map(([name, schema]) => ({
    name,
    description: schema.description ?? "",
    defaultText: textOf(defaults[name]),
  }));
}

/**
 * Reads settings from variables. An empty variable counts as absent.
 *
 * @throws AppError invalid_config that names every wrong variable, and every unknown one that begins with BATON_
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.entries(environment).filter(
    ([, value]) => value !== undefined && value !== "",
  );
  const known = Object.fromEntries(given.filter(([name]) => name in SETTINGS));
  const parsed = Settings.safeParse(known);
  const unknown = given.flatMap(([name, value = ""]) => (isUnknown(name, value) ? [name] : []));
  if (!parsed.success || unknown.length > 0) {
    const wrong = (parsed.error?.issues ?? []).map((issue) => {
      const name = String(issue.path[0] ?? "");
      // A connection string carries a password.
      const received =
        name === "DATABASE_URL" ? "" : `; received ${JSON.stringify(environment[name])}`;
      return `${name}: ${issue.message}${received}`;
    });
    const problems = [
      ...wrong,
      // Without its value, which may be anything.
      ...unknown.map((name) => `${name}: there is no such setting; docs/operations.md lists all`),
    ];
    throw new AppError("invalid_config", `Settings are wrong. ${problems.join(". ")}`);
  }
  const settings = parsed.data;
  if (!isLoopback(settings.BATON_HOST) && settings.BATON_ALLOW_UNAUTHENTICATED !== "true") {
    throw new AppError(
      "invalid_config",
      `BATON_HOST: expected a loopback address such as 127.0.0.1; received ${JSON.stringify(settings.BATON_HOST)}. ` +
        "This version has no authentication, so whoever reaches that address could run jobs. Where something else " +
        "keeps strangers away (a container's network, a firewall), set BATON_ALLOW_UNAUTHENTICATED=true.",
      { host: settings.BATON_HOST },
    );
  }
  return {
    databaseUrl: settings.DATABASE_URL,
    dataDirectory: settings.BATON_DATA_DIRECTORY,
    host: settings.BATON_HOST,
    httpPort: settings.BATON_HTTP_PORT,
    grpcPort: settings.BATON_GRPC_PORT,
    serverName: settings.BATON_SERVER_NAME ?? `${hostname()}-${process.pid}`.slice(-128),
    databaseConnections: settings.BATON_DATABASE_CONNECTIONS,
    payloadBytesMax: settings.BATON_PAYLOAD_BYTES_MAX,
    idempotencyMs: settings.BATON_IDEMPOTENCY_MS,
    retention: {
      finishedDays: settings.BATON_RETENTION_FINISHED_DAYS,
      deadDays: settings.BATON_RETENTION_DEAD_DAYS,
    },
    logLevel: settings.BATON_LOG_LEVEL,
  };
}

/** Variables that begin like settings and are not for the server: of clients, of built-in tasks, of tests. */
const OTHERS = /^BATON_(ADDRESS$|TASKS_|TEST_|TORTURE_)/;
/** Kubernetes tells every container of every service; one called "baton" begins like our settings. */
const SERVICE_NAME = /_SERVICE_(HOST|PORT)|_PORT_\d+_(TCP|UDP|SCTP)/;
const SERVICE_VALUE = /^(tcp|udp|sctp):\/\//;

function isUnknown(name: string, value: string): boolean {
  if (!name.startsWith("BATON_") || name in SETTINGS || OTHERS.test(name)) return false;
  return !SERVICE_NAME.test(name) && !SERVICE_VALUE.test(value);
}

/** Names other than localhost may lead anywhere, tomorrow if not today. */
function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

function textOf(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}
