import pg from "pg";

import type { House, Site } from "./system.ts";

/** A peer that has no server: a database with its schema in it. */
export async function databaseSite(
  house: House,
  options: {
    readonly database: string;
    /** Installs its schema. */
    readonly prepare: (connectionString: string) => Promise<unknown>;
    /** Statement that counts unfinished jobs as `count`. */
    readonly unfinished: string;
  },
): Promise<Site> {
  const connectionString = await house.createDatabase(options.database);
  await options.prepare(connectionString);
  const client = new pg.Client({ connectionString });
  await client.connect();
  return {
    target: connectionString,
    pids: { database: house.postgresPid },
    unfinished: async () => {
      const { rows } = await client.query<{ count: number }>(options.unfinished);
      return rows[0]?.count ?? 0;
    },
    [Symbol.asyncDispose]: async () => {
      await client.end();
      await house.dropDatabase(options.database);
    },
  };
}
