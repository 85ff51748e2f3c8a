import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, it, type TestContext } from "node:test";

import pg from "pg";

import { aPostgresSite } from "../../test/postgres-process.ts";
import { startEmbeddedPostgres } from "./embedded.ts";
import {
  disownPidFile,
  isAlive,
  runningPostmaster,
  stopPostmaster,
  waitUntilGone,
} from "./postmaster.ts";

// No process has it: the kernel's highest pid is 2^22.
const NO_PID = 99_999_999;

describe("runningPostmaster", () => {
  for (const [name, text] of [
    ["no number", "nonsense\n"],
    ["nothing", ""],
    ["the pid of no process", `${NO_PID}\n`],
    ["the pid of this process", `${process.pid}\n`],
    ["the pid of init", "1\n"],
    ["zero, which would mean every process of the group", "0\n"],
  ] as const) {
    it(`finds none when the pid file holds ${name}`, async (t) => {
      const pgdata = await aDirectory(t);
      await writeFile(path.join(pgdata, "postmaster.pid"), text);

      assert.equal(await runningPostmaster(pgdata), undefined);
    });
  }

  it("does not take another program for a server because of its arguments", async (t) => {
    const pgdata = await aDirectory(t);
    const shell = spawn("sh", ["-c", "read line", "-D", pgdata]);
    await once(shell, "spawn");
    t.after(async () => {
      shell.kill();
      await once(shell, "exit");
    });
    await writeFile(path.join(pgdata, "postmaster.pid"), `${shell.pid}\n`);

    assert.equal(await runningPostmaster(pgdata), undefined);
  });

  it("does not take the server of another directory for this one's", async (t) => {
    const site = await aPostgresSite(t);
    const server = await startEmbeddedPostgres({ dataDirectory: site.dataDirectory });
    const other = await aDirectory(t);
    await writeFile(path.join(other, "postmaster.pid"), `${server.pid}\n`);

    assert.equal(await runningPostmaster(other), undefined);
    assert.equal(await runningPostmaster(site.pgdata), server.pid);
  });
});

describe("disownPidFile", () => {
  it("puts PostgreSQL's parent in the place of a stranger and keeps the other lines", async (t) => {
    const pgdata = await aDirectory(t);
    const file = path.join(pgdata, "postmaster.pid");
    await writeFile(file, "1234567\n/data\n1700000000\n5432\n/socket\n\n 1 2\n");

    await disownPidFile(pgdata);

    assert.equal(
      await readFile(file, "utf8"),
      `${process.pid}\n/data\n1700000000\n5432\n/socket\n\n 1 2\n`,
    );
  });

  it("does nothing without a pid file", async (t) => {
    await disownPidFile(await aDirectory(t));
  });
});

describe("stopPostmaster", () => {
  it("goes on to an immediate shutdown when a session does not end", async (t) => {
    const site = await aPostgresSite(t);
    const server = await startEmbeddedPostgres({ dataDirectory: site.dataDirectory });
    const client = new pg.Client(server.connection);
    client.on("error", () => undefined);
    await client.connect();
    t.after(() => client.end().catch(() => undefined));
    await client.query("create table kept as select 7 as number");
    const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
    process.kill(rows[0]?.pid ?? assert.fail("no backend"), "SIGSTOP");

    await stopPostmaster(server.pid, site.pgdata, { fastMs: 100, immediateMs: 30_000 });

    await server.exited;
    const log = await readFile(path.join(site.dataDirectory, "postgres.log"), "utf8");
    assert.match(log, /received fast shutdown request[^]*received immediate shutdown request/);
    const again = await startEmbeddedPostgres({ dataDirectory: site.dataDirectory });
    const reader = new pg.Client(again.connection);
    await reader.connect();
    assert.deepEqual((await reader.query("select number from kept")).rows, [{ number: 7 }]);
    await reader.end();
  });

  it("touches no process that is not the server", async (t) => {
    const sleeper = await aSleeper(t);

    await stopPostmaster(sleeper, await aDirectory(t));

    assert.equal(await isAlive(sleeper), true);
  });
});

describe("isAlive", () => {
  it("knows the living, the dead and those of others", async (t) => {
    const sleeper = await aSleeper(t);

    assert.equal(await isAlive(sleeper), true);
    assert.equal(await isAlive(1), true);
    assert.equal(await isAlive(NO_PID), false);
  });

  it("takes a zombie for dead", { skip: process.platform !== "linux" }, async (t) => {
    // The shell becomes a program that never waits for the child that the shell had started.
    const parent = spawn("sh", ["-c", "sleep 0.05 & echo $!; exec sleep 600"]);
    t.after(async () => {
      parent.kill();
      await once(parent, "exit");
    });
    const [line] = await once(parent.stdout, "data");

    assert.equal(await waitUntilGone(Number(String(line)), { deadlineMs: 10_000 }), true);
  });
});

describe("waitUntilGone", () => {
  it("gives up after the deadline", async (t) => {
    assert.equal(await waitUntilGone(await aSleeper(t), { deadlineMs: 0 }), false);
  });
});

async function aSleeper(t: TestContext): Promise<number> {
  const child = spawn("sleep", ["600"]);
  await once(child, "spawn");
  t.after(async () => {
    child.kill();
    await once(child, "exit");
  });
  assert(child.pid !== undefined, "sleep must start");
  return child.pid;
}

async function aDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "baton-postmaster-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}
