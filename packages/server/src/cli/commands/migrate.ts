import { Command } from "commander";

import type { Config } from "../../config.ts";
import { defaultDataDirectory } from "../../postgres/data-directory.ts";
import { superviseEmbeddedPostgres } from "../../postgres/supervise.ts";
import { openDatabase, type Database } from "../../store/db.ts";
import { migrate, migrationStatus } from "../../store/migrate.ts";
import { explainingDatabaseErrors } from "../database-error.ts";
import { note, writeJson, writeLine } from "../output.ts";
import { configOf, withSettingOptions, type SettingFlags } from "../setting-options.ts";
import { tableText } from "../table.ts";

interface Flags extends SettingFlags {
  readonly status?: true;
  readonly json?: true;
}

/** `baton migrate` */
export function createCommand(): Command {
  const command = new Command("migrate")
    .description(
      "Brings the database to the schema of this version; a server does so itself when it starts.",
    )
    .option("--status", "change nothing, and list what is applied and what is missing")
    .option("--json", "print JSON");
  return withSettingOptions(command, ["DATABASE_URL", "BATON_DATA_DIRECTORY"]).action(
    async (flags: Flags) => {
      const config = configOf(flags);
      await explainingDatabaseErrors(() =>
        withDatabase(config, (db) =>
          flags.status ? printStatus(db, flags) : applyMissing(db, flags),
        ),
      );
    },
  );
}

async function applyMissing(db: Database, flags: Flags): Promise<void> {
  const { applied } = await migrate(db, { onApplied: (name) => note(`applied ${name}`) });
  if (flags.json) return writeJson({ applied });
  await writeLine(
    applied.length === 0
      ? "The schema is up to date."
      : `${applied.length} migrations were applied.`,
  );
}

async function printStatus(db: Database, flags: Flags): Promise<void> {
  const { applied, pending } = await migrationStatus(db);
  if (flags.json) {
    return writeJson({
      applied: applied.map(({ name, appliedAt }) => ({ name, appliedAt })),
      pending,
    });
  }
  const rows = [
    ...applied.map(({ name, appliedAt }) => ({ name, state: appliedAt.toISOString() })),
    ...pending.map((name) => ({ name, state: "missing" })),
  ];
  await writeLine(
    tableText(
      [
        { head: "MIGRATION", cell: ({ name }) => name },
        { head: "APPLIED", cell: ({ state }) => state },
      ],
      rows,
    ),
  );
}

/** The user's own PostgreSQL, or the embedded one, which no server may be using meanwhile. */
async function withDatabase(config: Config, work: (db: Database) => Promise<void>): Promise<void> {
  if (config.databaseUrl !== undefined) {
    return withConnection({ connectionString: config.databaseUrl }, work);
  }
  const dataDirectory = config.dataDirectory ?? (await defaultDataDirectory());
  const postgres = await superviseEmbeddedPostgres({ dataDirectory });
  try {
    await withConnection(postgres.connection, work);
  } finally {
    await postgres.stop();
  }
}

async function withConnection(
  connection: Parameters<typeof openDatabase>[0]["connection"],
  work: (db: Database) => Promise<void>,
): Promise<void> {
  const db = openDatabase({
    connection,
    connectionsMax: 1,
    applicationName: "baton migrate",
    onError: () => undefined,
  });
  try {
    await work(db);
  } finally {
    await db.close();
  }
}
