import assert from "node:assert/strict";
import { describe, it } from "node:test";

import pg from "pg";

import { aDatabaseConnection } from "../../test/database.ts";
import { lockDataDirectory } from "./data-directory-lock.ts";

describe("lockDataDirectory", () => {
  it("refuses a second holder and names the first by its pid", async (t) => {
    const connection = await aDatabaseConnection(t);
    const first = await lockDataDirectory(connection);
    t.after(() => first.release());

    await assert.rejects(lockDataDirectory(connection, { waitMs: 0 }), {
      code: "data_directory_in_use",
      details: { pid: process.pid },
      message: new RegExp(`\\(pid ${process.pid}\\)`),
    });
  });

  it("waits for a holder that is about to go", async (t) => {
    const connection = await aDatabaseConnection(t);
    const first = await lockDataDirectory(connection);
    const second = lockDataDirectory(connection, { waitMs: 60_000 });

    await first.release();

    await (await second).release();
  });

  it("stops waiting when it is aborted", async (t) => {
    const connection = await aDatabaseConnection(t);
    const first = await lockDataDirectory(connection);
    t.after(() => first.release());
    const abort = new AbortController();
    const second = lockDataDirectory(connection, { waitMs: 60_000, signal: abort.signal });

    abort.abort();

    await assert.rejects(second, { name: "AbortError" });
  });

  it("tells when the lock is lost", async (t) => {
    const connection = await aDatabaseConnection(t);
    const lock = await lockDataDirectory(connection);
    const client = new pg.Client(connection);
    await client.connect();

    await client.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1",
      [`baton pid ${process.pid}`],
    );

    await lock.lost;
    await client.end();
    const again = await lockDataDirectory(connection, { waitMs: 1_000 });
    await again.release();
  });
});
