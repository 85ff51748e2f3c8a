/** The usual surroundings of a test: one server on a database of its own, and a client. */
import type pg from "pg";

import { createClient, type Client } from "@baton/sdk";

import { aDatabaseConnection, databaseUrl } from "../packages/server/test/database.ts";
import { aServer, type ServerProcess } from "./server-process.ts";
import type { Stage } from "./stage.ts";

export interface Site {
  readonly database: pg.ClientConfig;
  readonly url: string;
  readonly server: ServerProcess;
  /** Of its gRPC. */
  readonly address: string;
  readonly client: Client;
}

/** Makes it. After the test nothing of it is left. */
export async function aSite(stage: Stage): Promise<Site> {
  const database = await aDatabaseConnection(stage);
  const url = databaseUrl(database);
  const server = await aServer(stage, url, { name: "first" });
  return { database, url, server, address: server.address, client: aClient(stage, server.address) };
}

/** A client that is closed after the test. */
export function aClient(stage: Stage, address: string): Client {
  const client = createClient({ address });
  stage.after(() => client.close());
  return client;
}
