/**
 * `npm run schema:dump`: writes docs/schema.sql from a fresh database after all migrations; `--check` only compares,
 * and fails when they differ. Not pg_dump, which is not among the programs that npm brings.
 */
import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

import { openDatabase } from "../packages/server/src/store/db.ts";
import { migrate } from "../packages/server/src/store/migrate.ts";
import { startTestPostgres } from "../packages/server/test/run-postgres.ts";
import { describeSchema } from "./schema/describe.ts";

const FILE = "docs/schema.sql";
const target = join(dirname(import.meta.dirname), FILE);

const schema = await freshSchema();
if (process.argv.includes("--check")) {
  const difference = firstDifference(await readFile(target, "utf8").catch(() => ""), schema);
  if (difference !== undefined) {
    console.error(
      `${FILE} is not what the migrations make; ${difference}\nRun npm run schema:dump.`,
    );
    process.exitCode = 1;
  }
} else {
  await writeFile(target, schema);
}

async function freshSchema(): Promise<string> {
  const postgres = await startTestPostgres();
  try {
    const database = openDatabase({
      connection: postgres.connection,
      connectionsMax: 1,
      applicationName: "schema dump",
      onError: () => undefined,
    });
    try {
      await migrate(database);
      return await describeSchema(database);
    } finally {
      await database.close();
    }
  } finally {
    await postgres.stop();
  }
}

function firstDifference(file: string, database: string): string | undefined {
  if (file === database) return undefined;
  const [there, here] = [file.split("\n"), database.split("\n")];
  const index = here.findIndex((line, number) => line !== there[number]);
  const line = index === -1 ? here.length : index;
  return [
    `line ${line + 1}:`,
    `  file:       ${there[line] ?? "(ends here)"}`,
    `  migrations: ${here[line] ?? "(ends here)"}`,
  ].join("\n");
}
