import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import { before, describe, it } from "node:test";

import { createClient, type Client } from "@baton/sdk";

import { runCli, startCli, type CliOptions, type CliProcess } from "../../../test/cli.ts";
import { suiteCleanup } from "../../../test/suite.ts";
import { until } from "../../../../../test/until.ts";
import { runningPostmaster, stopPostmaster } from "../../postgres/postmaster.ts";

/** Where to look, read from what dev prints. */
interface Dev extends CliProcess {
  readonly http: string;
  readonly client: Client;
}

describe("baton dev", () => {
  const cleanup = suiteCleanup();
  let directory = "";
  let pgdata = "";
  before(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), "baton-dev-"));
    // As root, PostgreSQL's account must be able to pass.
    await chmod(directory, 0o711);
    pgdata = path.join(directory, ".baton", "postgres");
    cleanup.after(async () => {
      const pid = await runningPostmaster(pgdata);
      if (pid !== undefined) await stopPostmaster(pid, pgdata);
      await rm(directory, { recursive: true });
    });
  });

  const ANY_PORTS = ["--http-port", "0", "--grpc-port", "0"];

  const start = (args: readonly string[] = [], options: CliOptions = {}): CliProcess =>
    startCli(cleanup, ["dev", ...ANY_PORTS, ...args], { cwd: directory, ...options });

  async function aDev(args: readonly string[] = []): Promise<Dev> {
    const dev = start(args);
    const http = (await dev.line(/^ +REST /)).trim().split(/ +/)[1] ?? "";
    const address = (await dev.line(/^ +gRPC /)).trim().split(/ +/)[1] ?? "";
    const client = createClient({ address });
    cleanup.after(() => client.close());
    return { ...dev, http, client };
  }

  async function workerPid(client: Client): Promise<number> {
    const worker = (await client.workers()).find(({ state }) => state === "active");
    assert(worker !== undefined);
    return worker.pid;
  }

  async function echo(client: Client): Promise<unknown> {
    const job = await client.enqueue("echo", "hello");
    return job.result({ timeoutMs: 20_000 });
  }

  it("runs jobs, says where to look, and stops everything on Ctrl-C", async () => {
    const dev = await aDev();

    assert.equal(await echo(dev.client), "hello");
    const health = await fetch(new URL("/health", dev.http));
    assert.equal(health.status, 200);
    await dev.line(/submit echo '\{"hello":"world"\}' --wait/);
    const pid = await workerPid(dev.client);
    dev.child.kill("SIGINT");

    const { exitCode, stderr } = await dev.ended;
    assert.equal(exitCode, 0);
    assert.match(
      stderr,
      /Stopping: Ctrl-C\.\nstopping the worker\nstopping HTTP\n.*\nstopping PostgreSQL\nStopped\.\n$/s,
    );
    assert.equal(isAlive(pid), false);
    assert.equal(await runningPostmaster(pgdata), undefined);
  });

  it("starts the worker again when it is killed", async () => {
    const dev = await aDev();
    const first = await workerPid(dev.client);

    process.kill(first, "SIGKILL");

    await dev.line(/The worker ended by SIGKILL; starting it again/);
    assert.equal(await echo(dev.client), "hello");
    dev.child.kill("SIGTERM");
    assert.equal((await dev.ended).exitCode, 0);
  });

  it("goes on where it was after it was killed itself", async () => {
    const killed = await aDev();
    const later = await killed.client.enqueue("echo", "kept", { delayMs: 2_000 });
    const orphan = await workerPid(killed.client);
    killed.child.kill("SIGKILL");
    await killed.ended;

    const dev = await aDev();

    assert.equal(await dev.client.job(later.id).result({ timeoutMs: 30_000 }), "kept");
    await untilGone(orphan);
    dev.child.kill("SIGINT");
    assert.equal((await dev.ended).exitCode, 0);
  });

  it("is refused while another one uses the data", async () => {
    const first = await aDev();

    const { exitCode, stderr } = await start().ended;

    assert.equal(exitCode, 1);
    assert.match(stderr, /\(data_directory_in_use\)/);
    assert.equal(await echo(first.client), "hello");
    first.child.kill("SIGINT");
    await first.ended;
  });

  it("lets a running job finish before it stops", async () => {
    const dev = await aDev();
    const job = await dev.client.enqueue("test_sleep", { durationMs: 1_000 });
    for await (const { state } of job.watch()) if (state === "running") break;

    dev.child.kill("SIGINT");
    assert.equal((await dev.ended).exitCode, 0);

    const again = await aDev();
    const { state, attempt } = await again.client.getJob(job.id);
    again.child.kill("SIGINT");
    await again.ended;
    assert.deepEqual([state, attempt], ["succeeded", 1]);
  });

  it("ends at once on the second Ctrl-C, and leaves nothing running", async () => {
    const dev = await aDev();
    const pid = await workerPid(dev.client);
    const job = await dev.client.enqueue("test_sleep", { durationMs: 60_000 });
    for await (const { state } of job.watch()) if (state === "running") break;

    dev.child.kill("SIGINT");
    await dev.line(/stopping the worker/);
    // Again and again: what comes within half a second is the same Ctrl-C, passed on by somebody.
    const exitCode = await until("an end long before the job's", 30_000, () => {
      dev.child.kill("SIGINT");
      return dev.child.exitCode ?? undefined;
    });

    assert.equal(exitCode, 130);
    await untilGone(pid);
    await until("the end of PostgreSQL", 30_000, async () =>
      (await runningPostmaster(pgdata)) === undefined ? true : undefined,
    );
  });

  it("goes on when nobody reads what it says, and still stops in order", async () => {
    const dev = await aDev();
    dev.child.stdout?.destroy();
    dev.child.stderr?.destroy();

    process.kill(await workerPid(dev.client), "SIGKILL");

    assert.equal(await echo(dev.client), "hello");
    dev.child.kill("SIGHUP");
    assert.equal((await dev.ended).exitCode, 0);
    assert.equal(await runningPostmaster(pgdata), undefined);
  });

  it("refuses an address that strangers could reach", async () => {
    const { exitCode, stderr } = await start(["--host", "0.0.0.0"]).ended;

    assert.equal(exitCode, 2);
    assert.match(stderr, /BATON_HOST: expected a loopback address.*\(invalid_config\)/);
  });

  it("ends with 1 when a port is taken, and leaves no PostgreSQL behind", async () => {
    const { exitCode, stderr } = await runCli(
      cleanup,
      ["dev", "--http-port", "0", "--grpc-port", String(await aTakenPort(cleanup))],
      { cwd: directory },
    );

    assert.equal(exitCode, 1);
    assert.match(stderr, /\(address_in_use\)/);
    assert.equal(await runningPostmaster(pgdata), undefined);
  });

  it("ends when its worker cannot start for a wrong setting", async () => {
    const dev = start([], { env: { BATON_TASKS_ALLOW_PRIVATE_ADDRESSES: "maybe" } });

    const { exitCode, stderr } = await dev.ended;

    assert.equal(exitCode, 1);
    assert.match(stderr, /BATON_TASKS_ALLOW_PRIVATE_ADDRESSES must be true or false/);
    assert.match(stderr, /Baton cannot go on: the worker ended with exit code 2/);
  });
});

async function aTakenPort(cleanup: { after(stop: () => unknown): void }): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanup.after(() => server.close());
  const address = server.address();
  assert(address !== null && typeof address === "object");
  return address.port;
}

/** Polls, because nobody is told of the end of a process that is not one's child. */
async function untilGone(pid: number): Promise<void> {
  await until(`the end of process ${pid}`, 30_000, () => (isAlive(pid) ? undefined : true));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
