/** The commands that look at jobs, against one server. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { createClient, type Client } from "@baton/sdk";

import { aCliWorker, release } from "../../../test/cli-worker.ts";
import { aServer, runCli, startCli, type CliResult } from "../../../test/cli.ts";
import { suiteCleanup } from "../../../test/suite.ts";

const NO_JOB = "01a20122-bd31-7000-9dd7-a4100fe46f87";

describe("commands that look at jobs", () => {
  const cleanup = suiteCleanup();
  let address = "";
  let client: Client;
  before(async () => {
    ({ address } = await aServer(cleanup));
    client = createClient({ address });
    cleanup.after(() => client.close());
    await aCliWorker(cleanup, address);
  });

  const baton = (...args: readonly string[]): Promise<CliResult> =>
    runCli(cleanup, args, { env: { BATON_ADDRESS: address } });
  const start = (...args: readonly string[]) =>
    startCli(cleanup, args, { env: { BATON_ADDRESS: address } });

  async function aRunningJob(tag: string): Promise<string> {
    const job = await client.enqueue("patient", null, { tags: [tag] });
    for await (const { progress } of job.watch()) if (progress !== undefined) break;
    return job.id;
  }

  describe("status", () => {
    it("shows a job with all attempts and how each ended", async () => {
      const input = { durationMs: 0, failTimes: 1 };
      const retry = { baseMs: 0 };
      const job = await client.enqueue("test_sleep", input, { retry, tags: ["a", "b"] });
      await job.result();

      const { exitCode, stdout } = await baton("status", job.id);

      assert.equal(exitCode, 0);
      assert.match(
        stdout,
        new RegExp(`^job +${job.id}\ntask +test_sleep\nqueue +default\nstate +succeeded\n`),
      );
      assert.match(stdout, /\nattempts +2, 1 failed \(dead after 3 failures\)\ntags +a, b\n/);
      assert.match(stdout, /\n +1 {2}retry +test-worker .* {2}Error: Attempt 1 was told to fail/);
      assert.match(stdout, /\n +2 {2}succeeded +test-worker /);
    });

    it("shows the job that was submitted last when it is given none", async () => {
      await client.enqueue("echo", "earlier");
      const latest = await client.enqueue("echo", "latest");

      const { exitCode, stdout } = await baton("status", "--json");

      assert.deepEqual([exitCode, JSON.parse(stdout).id], [0, latest.id]);
    });

    it("prints the shape of the REST API as JSON", async () => {
      const job = await client.enqueue("echo", { a: 1 });
      await job.result();

      const { stdout } = await baton("status", job.id, "--json");

      const shown = JSON.parse(stdout);
      assert.deepEqual(shown.result, { a: 1 });
      assert.deepEqual([shown.error, shown.cancelReason, shown.uniqueKey], [null, null, null]);
      assert.deepEqual(
        shown.attempts.map(({ attempt, outcome }: { attempt: number; outcome: string }) => [
          attempt,
          outcome,
        ]),
        [[1, "succeeded"]],
      );
    });

    it("ends with 6 for a job that does not exist", async () => {
      const { exitCode, stderr } = await baton("status", NO_JOB, "--json");

      assert.equal(exitCode, 6);
      assert.equal(JSON.parse(stderr).error.code, "job_not_found");
    });

    it("refuses what is no id", async () => {
      const { exitCode, stderr } = await baton("status", "x y");

      assert.notEqual(exitCode, 0);
      assert.match(stderr, /^error: .*"?x y"?/);
    });
  });

  describe("list", () => {
    it("filters, limits and goes on at a cursor", async () => {
      const jobs = await client.enqueueMany("echo", [1, 2, 3], {
        tags: ["list"],
        delayMs: 3_600_000,
      });
      const ids = jobs
        .map(({ id }) => id)
        .sort()
        .reverse();

      const first = await baton(
        "list",
        "--tag",
        "list",
        "--state",
        "scheduled,dead",
        "--limit",
        "2",
        "--json",
      );
      const page = JSON.parse(first.stdout);
      const second = await baton(
        "list",
        "--tag",
        "list",
        "--cursor",
        page.nextCursor,
        "--state",
        "scheduled,dead",
      );

      assert.deepEqual(
        page.items.map(({ id }: { id: string }) => id),
        ids.slice(0, 2),
      );
      assert.match(second.stdout, /^JOB +STATE +TASK +QUEUE +ATTEMPT +ACCEPTED +TOOK\n/);
      assert.match(second.stdout, new RegExp(`\n${ids[2]} +scheduled +echo +default +0 `));
      assert.equal(second.stdout.trim().split("\n").length, 2);
    });

    it("prints a line of JSON for each of all jobs", async () => {
      await client.enqueueMany("echo", Array(250).fill(0), { tags: ["all"], delayMs: 3_600_000 });

      const { stdout } = await baton("list", "--all", "--tag", "all", "--json");

      const ids = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).id);
      assert.equal(new Set(ids).size, 250);
    });

    it("refuses a cursor that was tampered with", async () => {
      const { exitCode, stderr } = await baton("list", "--cursor", "abc");

      assert.equal(exitCode, 2);
      assert.match(stderr, /\(invalid_cursor\)/);
    });

    it("refuses a state that does not exist", async () => {
      const { exitCode, stderr } = await baton("list", "--state", "done");

      assert.equal(exitCode, 2);
      assert.match(stderr, /Expected one or more of waiting, scheduled, .*; received "done"/);
    });

    it("ends quietly when its reader has enough", async () => {
      await client.enqueueMany("echo", Array(2_000).fill(0), {
        tags: ["pipe"],
        delayMs: 3_600_000,
      });
      const list = start("list", "--all", "--tag", "pipe", "--json");
      await list.line(/^\{/);

      list.child.stdout?.destroy();

      const { exitCode, stderr } = await list.ended;
      assert.deepEqual([exitCode, stderr], [0, ""]);
    });
  });

  describe("watch", () => {
    it("follows a job to its end", async () => {
      const id = await aRunningJob("watch");
      const watch = start("watch", id);
      await watch.line(/running {2}patient {2}attempt 1 {2}█+░+ 50 %/);

      release(id);

      const { exitCode, stdout } = await watch.ended;
      assert.equal(exitCode, 0);
      assert.match(stdout, /succeeded {2}patient/);
    });

    it("ends with 5 when the job is cancelled", async () => {
      const job = await client.enqueue("echo", 1, { delayMs: 3_600_000 });
      const watch = start("watch", job.id, "--json");
      await watch.line(/"scheduled"/);

      await job.cancel("not needed");

      const { exitCode, stdout, stderr } = await watch.ended;
      assert.equal(exitCode, 5);
      assert.deepEqual(
        stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line).state),
        ["scheduled", "cancelled"],
      );
      assert.match(stderr, /was cancelled: not needed/);
    });

    it("prints every change of the jobs of a filter until Ctrl-C", async () => {
      const job = await client.enqueue("echo", 1, { tags: ["events"], delayMs: 3_600_000 });
      const watch = start("watch", "--tag", "events", "--after", "0");
      await watch.line(new RegExp(`${job.id} {2}scheduled  echo in default, attempt 0$`));

      await job.cancel();
      await watch.line(new RegExp(`${job.id} {2}cancelled `));
      watch.child.kill("SIGINT");

      await watch.ended;
      assert.equal(watch.child.signalCode, "SIGINT");
    });
  });

  describe("logs", () => {
    it("prints lines with their attempt, level and fields", async () => {
      const job = await client.enqueue("chatty", { lines: ["one", "two\u001b[31m"] });
      await job.result();

      const { stdout } = await baton("logs", job.id);

      const lines = stdout.trim().split("\n");
      assert.match(lines[0] ?? "", /^[\d:.]{12} {2}#1 {2}info {3}one {2}\{"index":0\}$/);
      assert.match(lines[1] ?? "", / {2}two\\x1b\[31m {2}/);
    });

    it("follows a job until it has ended", async () => {
      const id = await aRunningJob("logs");
      const logs = start("logs", id, "--follow", "--json");
      await logs.line(/"waiting"/);

      release(id);

      const { exitCode, stdout } = await logs.ended;
      assert.equal(exitCode, 0);
      assert.deepEqual(
        stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line).message),
        ["waiting", "released"],
      );
    });

    it("ends with 6 for a job that does not exist", async () => {
      assert.equal((await baton("logs", NO_JOB)).exitCode, 6);
    });
  });
});
