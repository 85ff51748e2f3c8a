import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { before, describe, it } from "node:test";

import { createClient, type Client } from "@baton/sdk";

import { aServer, runCli, startCli, type CliProcess } from "../../../test/cli.ts";
import { suiteCleanup } from "../../../test/suite.ts";
import { until } from "../../../../../test/until.ts";

const ROOT = path.resolve(import.meta.dirname, "../../../../..");

const TASKS = `
import { task } from "@baton/sdk";
export const greet = task({ name: "greet", run: (name: string) => "hello " + name });
export const wait = task({
  name: "wait",
  run: async (ms: number, ctx) => {
    ctx.progress("begun");
    await new Promise((resolve) => setTimeout(resolve, ms));
    return "waited";
  },
});
export const stray = task({
  name: "stray",
  run: (kind: string) => {
    if (kind === "rejection") void Promise.reject(new Error("left behind"));
    else setTimeout(() => { throw new Error("left behind"); });
    return "returned";
  },
});
`;

describe("baton worker", () => {
  const cleanup = suiteCleanup();
  let address = "";
  let client: Client;
  let directory = "";
  before(async () => {
    ({ address } = await aServer(cleanup));
    client = createClient({ address });
    cleanup.after(() => client.close());
    directory = await mkdtemp(path.join(os.tmpdir(), "baton-tasks-"));
    cleanup.after(() => rm(directory, { recursive: true }));
    // As for somebody who has installed @baton/sdk there.
    await symlink(path.join(ROOT, "node_modules"), path.join(directory, "node_modules"));
  });

  async function tasksFile(name: string, text: string): Promise<string> {
    const file = path.join(directory, name);
    await writeFile(file, text);
    return file;
  }

  const start = (...args: readonly string[]): CliProcess =>
    startCli(cleanup, ["worker", ...args], { env: { BATON_ADDRESS: address } });

  async function aBegunJob(input: number, queue: string): Promise<string> {
    const job = await client.enqueue("wait", input, { queue });
    for await (const { progress } of job.watch()) if (progress !== undefined) break;
    return job.id;
  }

  it("runs tasks of one's own beside the built-in ones, with the options given", async () => {
    const file = await tasksFile("tasks.ts", TASKS);
    const worker = start(
      ...["--tasks", file, "--queues", "own,other", "--slots", "3", "--prefetch", "2"],
      ...["--name", "mine", "--label", "gpu=yes", "--label", "zone=a", "--lease-ms", "5s"],
    );
    await worker.line(/"connected"/);

    const results = await Promise.all([
      client.enqueue("greet", "world", { queue: "own" }).then((job) => job.result()),
      client.enqueue("echo", 1, { queue: "other" }).then((job) => job.result()),
    ]);

    assert.deepEqual(results, ["hello world", 1]);
    const mine = (await client.workers()).find(({ name }) => name === "mine");
    assert.deepEqual([mine?.slots, mine?.labels], [3, { gpu: "yes", zone: "a" }]);
    worker.child.kill("SIGTERM");
    assert.equal((await worker.ended).exitCode, 0);
  });

  it("finishes running jobs on SIGTERM and takes no more", async () => {
    const worker = start(
      "--no-built-in",
      "--tasks",
      await tasksFile("tasks.ts", TASKS),
      "--queues",
      "drain",
    );
    await worker.line(/"connected"/);
    const id = await aBegunJob(500, "drain");

    worker.child.kill("SIGTERM");
    await worker.line(/finishing running jobs/);

    assert.equal((await worker.ended).exitCode, 0);
    const job = await client.getJob(id);
    assert.deepEqual([job.state, job.attempt], ["succeeded", 1]);
  });

  it("gives up running jobs when the time for them is over", async () => {
    const file = await tasksFile("tasks.ts", TASKS);
    const worker = start("--tasks", file, "--queues", "late", "--drain-timeout-ms", "200");
    await worker.line(/"connected"/);
    const id = await aBegunJob(600_000, "late");

    worker.child.kill("SIGINT");

    assert.equal((await worker.ended).exitCode, 0);
    const { attempts } = await client.getJob(id);
    assert.deepEqual(
      attempts.map(({ outcome }) => outcome),
      ["lost"],
    );
  });

  it("goes on after a handler left a rejected promise behind, and says so", async () => {
    const file = await tasksFile("tasks.ts", TASKS);
    const worker = start("--tasks", file, "--queues", "rejecting");
    await worker.line(/"connected"/);

    await (await client.enqueue("stray", "rejection", { queue: "rejecting" })).result();
    await worker.line(/left behind.*a promise was rejected and nobody handled it/);
    const after = await client.enqueue("greet", "again", { queue: "rejecting" });

    assert.equal(await after.result(), "hello again");
    worker.child.kill("SIGTERM");
    assert.equal((await worker.ended).exitCode, 0);
  });

  it("finishes what runs after an exception that nobody caught, and ends with 1", async () => {
    const file = await tasksFile("tasks.ts", TASKS);
    const worker = start("--tasks", file, "--queues", "throwing");
    await worker.line(/"connected"/);
    const id = await aBegunJob(1_000, "throwing");

    await client.enqueue("stray", "exception", { queue: "throwing" });
    await worker.line(/left behind.*an exception was thrown where nobody could catch it/);
    await worker.line(/finishing running jobs/);
    const after = await client.enqueue("greet", "late", { queue: "throwing" });

    assert.equal((await worker.ended).exitCode, 1);
    const job = await client.getJob(id);
    assert.deepEqual([job.state, job.attempt], ["succeeded", 1]);
    assert.equal((await after.get()).state, "queued");
  });

  it("waits after an uncaught exception no longer than for a stop", async () => {
    const file = await tasksFile("tasks.ts", TASKS);
    const worker = start("--tasks", file, "--queues", "stuck", "--drain-timeout-ms", "200");
    await worker.line(/"connected"/);
    const id = await aBegunJob(600_000, "stuck");

    await client.enqueue("stray", "exception", { queue: "stuck" });

    assert.equal((await worker.ended).exitCode, 1);
    const { attempts } = await client.getJob(id);
    assert.deepEqual(
      attempts.map(({ outcome }) => outcome),
      ["lost"],
    );
  });

  it("ends when the process that started it is killed", async () => {
    const program = path.resolve(import.meta.dirname, "../../../test/cli-parent.ts");
    const parent = fork(program, ["worker", "--address", address, "--name", "orphan"], {
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    const [pid]: [number] = (await once(parent, "message")) as [number];
    cleanup.after(() => killQuietly(pid));

    parent.kill("SIGKILL");

    await untilGone(pid);
  });

  it("waits for a server that is not there yet, and says so", async () => {
    const worker = startCli(cleanup, ["worker", "--address", "127.0.0.1:1"]);

    await worker.line(/cannot reach Baton at 127\.0\.0\.1:1.*reconnecting/);
    worker.child.kill("SIGTERM");

    assert.equal((await worker.ended).exitCode, 0);
  });

  const refused: readonly (readonly [string, string, RegExp])[] = [
    ["a file with a syntax error", "export const x = {;", /cannot be loaded: syntax error/],
    ["a file without tasks", "export const x = 1;", /it exports no task/],
    ["a file that throws", 'throw new Error("no key");', /it threw Error: no key/],
    [
      "a task with a built-in's name",
      'import { task } from "@baton/sdk"; export const e = task({ name: "echo", run: () => 1 });',
      /The task "echo" of .* is there already/,
    ],
  ];
  for (const [index, [what, text, message]] of refused.entries()) {
    it(`refuses ${what}`, async () => {
      const file = await tasksFile(`bad-${index}.ts`, text);

      const { exitCode, stderr } = await runCli(cleanup, ["worker", "--tasks", file]);

      assert.equal(exitCode, 2);
      assert.match(stderr, message);
    });
  }

  const wrongUsage: readonly (readonly [
    string,
    readonly string[],
    Readonly<Record<string, string>>,
    RegExp,
  ])[] = [
    [
      "a missing file",
      ["--tasks", "nowhere.ts"],
      {},
      /nowhere\.ts cannot be loaded: there is no such file/,
    ],
    ["no tasks at all", ["--no-built-in"], {}, /A worker needs tasks/],
    ["no slots", ["--slots", "0"], {}, /'--slots <n>'.*from 1 to 10000; received "0"/],
    [
      "a lease that is too short",
      ["--lease-ms", "1s"],
      {},
      /leaseMs must be an integer of 2000 to 600000, got 1000/,
    ],
    ["a label without value", ["--label", "gpu"], {}, /Expected key=value; received "gpu"/],
    [
      "a wrong setting",
      [],
      { BATON_TASKS_ANALYSIS_MEMORY_MB: "lots" },
      /BATON_TASKS_ANALYSIS_MEMORY_MB must be/,
    ],
    ["a wrong log level", ["--log-level", "loud"], {}, /Allowed choices are trace, debug/],
  ];
  for (const [what, args, env, message] of wrongUsage) {
    it(`refuses ${what}`, async () => {
      const { exitCode, stderr } = await runCli(cleanup, ["worker", ...args], { env });

      assert.equal(exitCode, 2);
      assert.match(stderr, message);
    });
  }
});

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

function killQuietly(pid: number): void {
  if (isAlive(pid)) process.kill(pid, "SIGKILL");
}
