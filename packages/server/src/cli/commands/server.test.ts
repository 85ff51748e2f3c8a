import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createClient } from "@baton/sdk";

import { runCli, startCli } from "../../../test/cli.ts";
import {
  aDatabaseConnection,
  anEmptyDatabaseConnection,
  databaseUrl,
} from "../../../test/database.ts";

describe("baton server", () => {
  it("serves a database of one's own, logs JSON, and stops on SIGTERM", async (t) => {
    const url = databaseUrl(await aDatabaseConnection(t));
    const server = startCli(t, ["server", "--http-port", "0", "--grpc-port", "0"], {
      env: { DATABASE_URL: url, BATON_SERVER_NAME: "alpha" },
    });
    const ready = JSON.parse(await server.line(/"msg":"ready"/));
    const client = createClient({ address: `127.0.0.1:${ready.grpcPort}` });
    t.after(() => client.close());

    const [view] = await client.servers();
    server.child.kill("SIGTERM");

    assert.equal(view?.name, "alpha");
    const { exitCode, stdout } = await server.ended;
    assert.equal(exitCode, 0);
    assert.match(stdout, /"msg":"stopped"\}\n$/);
  });

  it("refuses an option that it does not have", async (t) => {
    const { exitCode, stderr } = await runCli(t, ["server", "--json"]);

    assert.equal(exitCode, 2);
    assert.match(stderr, /unknown option '--json'/);
  });

  it("ends with 1 when PostgreSQL cannot be reached", async (t) => {
    const { exitCode, stderr } = await runCli(t, ["server"], {
      env: { DATABASE_URL: "postgres://localhost:1/x" },
    });

    assert.equal(exitCode, 1);
    assert.match(
      stderr,
      /The database cannot be used: connect ECONNREFUSED .*\(database_unusable\)\n$/,
    );
  });

  it("takes options over variables, and names a wrong one before it starts anything", async (t) => {
    const { exitCode, stderr } = await runCli(t, ["server", "--http-port", "http"], {
      env: { BATON_HTTP_PORT: "0" },
    });

    assert.equal(exitCode, 2);
    assert.match(stderr, /BATON_HTTP_PORT: .*received "http".*\(invalid_config\)/);
  });
});

describe("baton migrate", () => {
  it("shows what is missing, applies it, and has nothing to do the second time", async (t) => {
    const env = { DATABASE_URL: databaseUrl(await anEmptyDatabaseConnection(t)) };

    const before = await runCli(t, ["migrate", "--status", "--json"], { env });
    const first = await runCli(t, ["migrate", "--json"], { env });
    const second = await runCli(t, ["migrate"], { env });
    const after = await runCli(t, ["migrate", "--status"], { env });

    const { applied, pending } = JSON.parse(before.stdout);
    assert.deepEqual(applied, []);
    assert.deepEqual(JSON.parse(first.stdout).applied, pending);
    assert.deepEqual([second.exitCode, second.stdout], [0, "The schema is up to date.\n"]);
    assert.match(after.stdout, /^MIGRATION +APPLIED\n0001-jobs +2\d{3}-/);
    assert.doesNotMatch(after.stdout, /missing/);
  });

  it("ends with 1 when there is no such database", async (t) => {
    const url = new URL(databaseUrl(await anEmptyDatabaseConnection(t)));
    url.pathname = "/nowhere";

    const { exitCode, stderr } = await runCli(t, ["migrate"], { env: { DATABASE_URL: url.href } });

    assert.equal(exitCode, 1);
    assert.match(
      stderr,
      /^error: .*"nowhere" does not exist\. Check DATABASE_URL.*\(database_unusable\)\n$/,
    );
  });
});
