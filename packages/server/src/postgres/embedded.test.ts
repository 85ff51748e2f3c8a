import assert from "node:assert/strict";
import { chmod, chown, lstat, mkdir, rm, watch, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";

import { anOrdinaryUid, IS_ROOT } from "../../test/ordinary-user.ts";
import { aPostgresSite, queryOnce } from "../../test/postgres-process.ts";
import { startEmbeddedPostgres } from "./embedded.ts";

const ORDINARY_UID = await anOrdinaryUid();

/** Every behaviour must hold for whoever types the command. */
const USERS = [
  { name: IS_ROOT ? "root" : "an ordinary user", options: {}, skip: false },
  {
    name: "an ordinary user",
    options: ORDINARY_UID === undefined ? {} : { uid: ORDINARY_UID },
    skip: ORDINARY_UID === undefined,
  },
];

for (const { name, options, skip } of USERS) {
  describe(`the embedded PostgreSQL of ${name}`, { skip, concurrency: 2 }, () => {
    it("answers on a private socket only, with checksums, passwords and durable commits", async (t) => {
      const site = await aPostgresSite(t, { ...options, isEmpty: true });

      const { connection, isAdopted } = await site.start().next("ready");

      assert.equal(isAdopted, false);
      const [settings] = await queryOnce(
        connection,
        `select current_setting('listen_addresses')   as addresses,
                current_setting('data_checksums')     as checksums,
                current_setting('fsync')              as fsync,
                current_setting('synchronous_commit') as commits,
                current_setting('full_page_writes')   as pages,
                current_setting('password_encryption') as passwords,
                current_setting('server_encoding')    as encoding,
                (select count(*)::int from pg_file_settings where error is not null) as errors,
                (select count(*)::int from pg_hba_file_rules where auth_method <> 'scram-sha-256') as open`,
      );
      assert.deepEqual(settings, {
        addresses: "",
        checksums: "on",
        fsync: "on",
        commits: "on",
        pages: "on",
        passwords: "scram-sha-256",
        encoding: "UTF8",
        errors: 0,
        open: 0,
      });
      const socket = await lstat(connection.host ?? "");
      assert.equal(socket.mode & 0o777, 0o700);
    });

    it("ends with its owner and has its data the next time", async (t) => {
      const site = await aPostgresSite(t, options);
      const first = site.start();
      await queryOnce(
        (await first.next("ready")).connection,
        "create table kept as select 7 as number",
      );

      await first.end("SIGTERM");

      assert.equal(await site.postmaster(), undefined);
      const { connection, isAdopted } = await site.start().next("ready");
      assert.equal(isAdopted, false);
      assert.deepEqual(await queryOnce(connection, "select number from kept"), [{ number: 7 }]);
    });

    it("outlives a killed owner and is adopted by the next one, which can stop it", async (t) => {
      const site = await aPostgresSite(t, options);
      const first = site.start();
      const before = await first.next("ready");
      await first.end("SIGKILL");

      const second = site.start();
      const after = await second.next("ready");

      assert.equal(after.isAdopted, true);
      assert.equal(after.pid, before.pid);
      assert.deepEqual(after.connection, before.connection);
      assert.deepEqual(await queryOnce(after.connection, "select 1 as one"), [{ one: 1 }]);
      await second.end("SIGTERM");
      assert.equal(await site.postmaster(), undefined);
    });

    it("recovers when it was killed together with its owner", async (t) => {
      const site = await aPostgresSite(t, options);
      const first = site.start();
      const before = await first.next("ready");
      await queryOnce(before.connection, "create table kept as select 7 as number");
      await first.end("SIGKILL");
      process.kill(before.pid, "SIGKILL");

      const after = await site.start().next("ready");

      assert.equal(after.isAdopted, false);
      assert.notEqual(after.pid, before.pid);
      assert.deepEqual(await queryOnce(after.connection, "select number from kept"), [
        { number: 7 },
      ]);
    });

    it("is made from the beginning when making it was interrupted", async (t) => {
      const site = await aPostgresSite(t, { ...options, isEmpty: true });
      await mkdir(site.dataDirectory, { mode: 0o711 });
      await chmod(site.dataDirectory, 0o711);
      await chownLike(site.dataDirectory, path.dirname(site.dataDirectory));
      const first = site.start();
      await untilEntry(site.dataDirectory, /^initialising-/);
      await first.end("SIGKILL");

      const { connection } = await site.start().next("ready");

      assert.deepEqual(await queryOnce(connection, "select 1 as one"), [{ one: 1 }]);
    });

    it("works in a directory whose path is too long for a socket", async (t) => {
      const site = await aPostgresSite(t, { ...options, below: "deep/".repeat(30) });
      const first = site.start();
      const before = await first.next("ready");
      const socketDirectory = before.connection.host ?? "";
      t.after(() => rm(socketDirectory, { recursive: true }));
      assert.ok(!socketDirectory.startsWith(site.dataDirectory));
      assert.equal((await lstat(socketDirectory)).mode & 0o777, 0o700);
      await first.end("SIGKILL");

      const second = site.start();
      const after = await second.next("ready");

      assert.equal(after.isAdopted, true);
      assert.deepEqual(after.connection, before.connection);
      await second.end("SIGTERM");
      const third = await site.start().next("ready");
      assert.equal(third.connection.host, socketDirectory);
    });

    it("starts under a umask that hides everything from others", async (t) => {
      const site = await aPostgresSite(t, { ...options, below: "made/by/baton", isEmpty: true });

      const { connection } = await site.start({ umask: 0o077 }).next("ready");

      const [settings] = await queryOnce(
        connection,
        "select current_setting('cluster_name') as name",
      );
      assert.deepEqual(settings, { name: "baton" }, "baton.conf was read");
    });

    it("refuses data of another major version", async (t) => {
      const site = await aPostgresSite(t, options);
      const first = site.start();
      await first.next("ready");
      await first.end("SIGTERM");
      await writeFile(path.join(site.pgdata, "PG_VERSION"), "14\n");

      const { code, message } = await site.start().next("failed");

      assert.equal(code, "postgres_version_mismatch");
      assert.match(
        message,
        /made by PostgreSQL 14, and this Baton brings PostgreSQL 18\..*pg_dump/,
      );
    });
  });
}

describe("startEmbeddedPostgres", () => {
  it("stops the server that it has begun to start when it is aborted", async (t) => {
    const site = await aPostgresSite(t, { isEmpty: true });
    const abort = new AbortController();
    const started = startEmbeddedPostgres({
      dataDirectory: site.dataDirectory,
      signal: abort.signal,
      onLog: () => abort.abort(new Error("changed my mind")),
    });

    await assert.rejects(started, /changed my mind|aborted/);

    assert.equal(await site.postmaster(), undefined);
  });

  it("resolves exited when the server dies", async (t) => {
    const site = await aPostgresSite(t);
    const server = await startEmbeddedPostgres({ dataDirectory: site.dataDirectory });

    process.kill(server.pid, "SIGKILL");

    await server.exited;
    assert.equal(await site.postmaster(), undefined);
  });

  it("can be stopped twice", async (t) => {
    const site = await aPostgresSite(t);
    const server = await startEmbeddedPostgres({ dataDirectory: site.dataDirectory });

    await Promise.all([server.stop(), server.stop()]);
    await server.stop();

    await server.exited;
    assert.equal(await site.postmaster(), undefined);
  });
});

async function untilEntry(directory: string, pattern: RegExp): Promise<void> {
  const changes = watch(directory);
  for await (const { filename } of changes) {
    if (filename !== null && pattern.test(filename)) return;
  }
}

async function chownLike(target: string, model: string): Promise<void> {
  const { uid, gid } = await lstat(model);
  await chown(target, uid, gid);
}
