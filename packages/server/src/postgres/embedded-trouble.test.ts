import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chown, lstat, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, it, type TestContext } from "node:test";

import { anOrdinaryUid, IS_ROOT, NAMELESS_UID } from "../../test/ordinary-user.ts";
import { aPostgresSite, queryOnce, type PostgresSite } from "../../test/postgres-process.ts";

const ORDINARY_UID = await anOrdinaryUid();
const OTHERS = ORDINARY_UID === undefined ? {} : { uid: ORDINARY_UID };
const NO_OTHERS = ORDINARY_UID === undefined;

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
    await assert.rejects(queryOnce({ ...connection, password: "wrong" }, "select 1"), {
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

    const after = await site.start().next("ready");
    assert.equal(after.pid, before.pid);
    const log = await readFile(path.join(site.dataDirectory, "postgres.log"), "utf8");
    assert.doesNotMatch(log, /shutdown request/);
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

    assert.deepEqual(await queryOnce(after.connection, "select 1 as one"), [{ one: 1 }]);
    assert.doesNotThrow(() => process.kill(stranger, 0));
  });

  it("is stopped and started anew when it hangs", async (t) => {
    const site = await aPostgresSite(t);
    const first = site.start();
    const before = await first.next("ready");
    await queryOnce(before.connection, "create table kept as select 7 as number");
    await first.end("SIGKILL");
    process.kill(before.pid, "SIGSTOP");

    const after = await site.start({ silenceMsMax: 1_000 }).next("ready");

    assert.notEqual(after.pid, before.pid);
    const log = await readFile(path.join(site.dataDirectory, "postgres.log"), "utf8");
    assert.match(log, /received fast shutdown request/);
    assert.doesNotMatch(log, /not properly shut down/);
    assert.deepEqual(await queryOnce(after.connection, "select number from kept"), [{ number: 7 }]);
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

    assert.deepEqual(await queryOnce(connection, "select current_database() as name"), [
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

  it("begins a new log when the old one has grown large, and keeps the old one", async (t) => {
    const site = await aPostgresSite(t);
    const log = path.join(site.dataDirectory, "postgres.log");
    await writeFile(log, "x".repeat(9_000_000));

    await site.start().next("ready");

    assert.ok((await lstat(log)).size < 100_000);
    assert.equal((await lstat(`${log}.1`)).size, 9_000_000);
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

async function chownLike(target: string, model: string): Promise<void> {
  const { uid, gid } = await lstat(model);
  await chown(target, uid, gid);
}
