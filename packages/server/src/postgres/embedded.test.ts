import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  rm,
  watch,
  writeFile,
} from "node:fs/promises";
import path from "node:path";
import { describe, it, type TestContext } from "node:test";

import pg from "pg";

import { aPostgresSite, type PostgresSite } from "../../test/postgres-process.ts";
import { unreachablePart } from "./account.ts";
import { startEmbeddedPostgres } from "./embedded.ts";

const IS_ROOT = process.getuid?.() === 0;
const NAMELESS_UID = 54_321;
const ORDINARY_UID = await anOrdinaryUid();

const OTHERS = ORDINARY_UID === undefined ? {} : { uid: ORDINARY_UID };
const NO_OTHERS = ORDINARY_UID === undefined;
/** Every behaviour must hold for whoever types the command. */
const USERS = [
  { name: IS_ROOT ? "root" : "an ordinary user", options: {}, skip: false },
  {
    name: "an ordinary user",
    options: OTHERS,
    skip: NO_OTHERS,
  },
];

for (const { name, options, skip } of USERS) {
  describe(`the embedded PostgreSQL of ${name}`, { skip, concurrency: 2 }, () => {
    it("answers on a private socket only, with checksums, passwords and durable commits", async (t) => {
      const site = await aPostgresSite(t, { ...options, isEmpty: true });

      const { connection, isAdopted } = await site.start().next("ready");

      assert.equal(isAdopted, false);
      const [settings] = await query(
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
      await query(
        (await first.next("ready")).connection,
        "create table kept as select 7 as number",
      );

      await first.end("SIGTERM");

      assert.equal(await site.postmaster(), undefined);
      const { connection, isAdopted } = await site.start().next("ready");
      assert.equal(isAdopted, false);
      assert.deepEqual(await query(connection, "select number from kept"), [{ number: 7 }]);
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
      assert.deepEqual(await query(after.connection, "select 1 as one"), [{ one: 1 }]);
      await second.end("SIGTERM");
      assert.equal(await site.postmaster(), undefined);
    });

    it("recovers when it was killed together with its owner", async (t) => {
      const site = await aPostgresSite(t, options);
      const first = site.start();
      const before = await first.next("ready");
      await query(before.connection, "create table kept as select 7 as number");
      await first.end("SIGKILL");
      process.kill(before.pid, "SIGKILL");

      const after = await site.start().next("ready");

      assert.equal(after.isAdopted, false);
      assert.notEqual(after.pid, before.pid);
      assert.deepEqual(await query(after.connection, "select number from kept"), [{ number: 7 }]);
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

      assert.deepEqual(await query(connection, "select 1 as one"), [{ one: 1 }]);
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

      assert.deepEqual(await query(connection, "select 1 as one"), [{ one: 1 }]);
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

describe("the embedded PostgreSQL", { concurrency: 2 }, () => {
  it("keeps its password out of the log and of other users' sight", async (t) => {
    const site = await aPostgresSite(t);

    const { connection, pid } = await site.start().next("ready");

    const password = String(connection.password);
    assert.ok(password.length >= 32);
    assert.equal((await lstat(path.join(site.dataDirectory, "baton.json"))).mode & 0o777, 0o600);
    const log = await readFile(path.join(site.dataDirectory, "postgres.log"), "utf8");
    assert.match(log, /ready to accept connections/);
    assert.ok(!log.includes(password));
    await assert.rejects(query({ ...connection, password: "wrong" }, "select 1"), {
      code: "28P01",
    });
    assert.ok(!(await commandLineOf(pid)).includes(password));
  });

  it("is out of reach of a Ctrl-C that its owner gets", async (t) => {
    const site = await aPostgresSite(t);
    const first = site.start();
    const before = await first.next("ready");

    process.kill(-first.pid, "SIGINT");
    await first.end("SIGINT");

    assert.equal(await site.postmaster(), before.pid);
  });

  it("starts although the pid files name a living process that is somebody else", async (t) => {
    const site = await aPostgresSite(t);
    const first = site.start();
    const { connection } = await first.next("ready");
    await first.end("SIGTERM");
    const stranger = await aStranger(t, site);
    const pidFile = `${stranger}\n${site.pgdata}\n1700000000\n5432\n${connection.host}\n\n0 0\nready\n`;
    for (const file of [
      path.join(site.pgdata, "postmaster.pid"),
      path.join(connection.host ?? "", ".s.PGSQL.5432.lock"),
    ]) {
      await writeFile(file, pidFile);
      await chownLike(file, site.pgdata);
    }

    const after = await site.start().next("ready");

    assert.deepEqual(await query(after.connection, "select 1 as one"), [{ one: 1 }]);
    assert.doesNotThrow(() => process.kill(stranger, 0));
  });

  it("is stopped and started anew when it hangs", async (t) => {
    const site = await aPostgresSite(t);
    const first = site.start();
    const before = await first.next("ready");
    await query(before.connection, "create table kept as select 7 as number");
    await first.end("SIGKILL");
    process.kill(before.pid, "SIGSTOP");

    const after = await site.start({ silenceMsMax: 500 }).next("ready");

    assert.notEqual(after.pid, before.pid);
    assert.deepEqual(await query(after.connection, "select number from kept"), [{ number: 7 }]);
  });

  it("leaves no half-made data of dead processes lying about", async (t) => {
    const site = await aPostgresSite(t);
    const first = site.start();
    await first.next("ready");
    await first.end("SIGTERM");
    await mkdir(path.join(site.dataDirectory, `initialising-${first.pid}-abcdef`, "base"), {
      recursive: true,
    });

    await site.start().next("ready");

    const names = await readdir(site.dataDirectory);
    assert.deepEqual(names.sort(), [
      "baton.conf",
      "baton.json",
      "postgres",
      "postgres.log",
      "socket",
    ]);
  });

  it("does not care about PostgreSQL's own variables in the environment", async (t) => {
    const site = await aPostgresSite(t);
    const environment = {
      PGHOST: "/nowhere",
      PGPORT: "1",
      PGDATABASE: "other",
      PGSSLMODE: "require",
      PGDATA: "/nowhere",
      PGOPTIONS: "-c nonsense=1",
    };

    const { connection } = await site.start({ environment }).next("ready");

    assert.deepEqual(await query(connection, "select current_database() as name"), [
      { name: "baton" },
    ]);
  });

  it("says what to do when the password file is missing or wrong", async (t) => {
    const site = await aPostgresSite(t);
    const first = site.start();
    await first.next("ready");
    await first.end("SIGKILL");
    const file = path.join(site.dataDirectory, "baton.json");
    await writeFile(file, JSON.stringify({ password: "wrong" }));

    const wrong = await site.start().next("failed");
    await writeFile(file, "nonsense");
    const broken = await site.start().next("failed");

    assert.equal(wrong.code, "data_directory_unusable");
    assert.match(wrong.message, /does not accept the password in .*baton.json/);
    assert.equal(broken.code, "data_directory_unusable");
    assert.notEqual(await site.postmaster(), undefined, "the running server was left alone");
  });

  it("quotes its log when it cannot start", async (t) => {
    const site = await aPostgresSite(t);
    const first = site.start();
    await first.next("ready");
    await first.end("SIGTERM");
    await writeFile(
      path.join(site.pgdata, "postgresql.auto.conf"),
      "shared_buffers = 'nonsense'\n",
    );

    const { code, message } = await site.start().next("failed");

    assert.equal(code, "postgres_start_failed");
    assert.match(message, /invalid value for parameter "shared_buffers"/);
  });
});

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

describe("a data directory between root and others", { skip: !IS_ROOT }, () => {
  it("is refused when PostgreSQL's account cannot reach it", async (t) => {
    const site = await aPostgresSite(t, { below: "closed", isEmpty: true });
    const closed = path.dirname(site.dataDirectory);
    await mkdir(closed, { mode: 0o700 });

    const { code, message } = await site.start().next("failed");

    assert.equal(code, "data_directory_unusable");
    assert.ok(message.includes(`cannot pass ${closed} `), message);
    assert.match(message, /BATON_DATA_DIRECTORY/);
  });

  it("made by an ordinary user serves root, as that user", { skip: NO_OTHERS }, async (t) => {
    const site = await aPostgresSite(t, OTHERS);
    const first = site.start();
    await first.next("ready");
    await first.end("SIGTERM");

    const { pid } = await site.start({ uid: 0 }).next("ready");

    assert.equal((await lstat(`/proc/${pid}`)).uid, ORDINARY_UID);
  });

  it("made by root is refused to an ordinary user", { skip: NO_OTHERS }, async (t) => {
    const site = await aPostgresSite(t);
    const first = site.start();
    await first.next("ready");
    await first.end("SIGTERM");

    const { code, message } = await site.start(OTHERS).next("failed");

    assert.equal(code, "data_directory_unusable");
    assert.match(message, /permission denied.*Run as the user that it belongs to/);
  });

  it("cannot be made by a user id without a name", { skip: NO_OTHERS }, async (t) => {
    const site = await aPostgresSite(t, { uid: NAMELESS_UID, isEmpty: true });

    const { code, message } = await site.start().next("failed");

    assert.equal(code, "postgres_start_failed");
    assert.match(message, /user id 54321 has no entry in \/etc\/passwd.*DATABASE_URL/);
  });
});

async function query(connection: pg.ClientConfig, text: string): Promise<unknown[]> {
  const client = new pg.Client(connection);
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

async function commandLineOf(pid: number): Promise<string> {
  const ps = spawn("ps", ["-ww", "-o", "command=", "-p", String(pid)]);
  const chunks = await ps.stdout.toArray();
  return chunks.join("");
}

/** A living process of the same user as the site's server, whose pid a stale file may name. */
async function aStranger(t: TestContext, site: PostgresSite): Promise<number> {
  const { uid, gid } = await lstat(site.pgdata);
  const child = spawn("sleep", ["600"], IS_ROOT ? { uid, gid } : {});
  await once(child, "spawn");
  t.after(async () => {
    child.kill();
    await once(child, "exit");
  });
  assert(child.pid !== undefined, "sleep must start");
  return child.pid;
}

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

/** A named user other than root and nobody who can read this repository, when this process may become one. */
async function anOrdinaryUid(): Promise<number | undefined> {
  if (!IS_ROOT) return undefined;
  const passwd = await readFile("/etc/passwd", "utf8");
  const uid = Number(/^(?:node|daemon|bin):[^:]*:(\d+):/m.exec(passwd)?.[1]);
  if (!Number.isSafeInteger(uid)) return undefined;
  const unreachable = await Promise.all(
    [import.meta.dirname, process.execPath].map((name) =>
      unreachablePart(name, { uid, gid: NAMELESS_UID }),
    ),
  );
  return unreachable.every((part) => part === undefined) ? uid : undefined;
}
