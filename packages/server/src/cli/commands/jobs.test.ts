/** The commands that look at jobs and change them, against one server. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { createClient, type Client } from "@baton/sdk";

import { aCliWorker, release } from "../../../test/cli-worker.ts";
import { aServer, runCli, startCli, type CliResult } from "../../../test/cli.ts";
import { suiteCleanup } from "../../../test/suite.ts";

const NO_JOB = "01a20122-bd31-7000-9dd7-a4100fe46f87";

describe("commands about jobs", () => {
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

  async function aDeadJob(tag: string): Promise<string> {
    const input = { durationMs: 0, failTimes: 1 };
    const job = await client.enqueue("test_sleep", input, { maxAttempts: 1, tags: [tag] });
    await assert.rejects(job.result(), { code: "job_failed" });
    return job.id;
  }

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
      assert.match(stdout, /\nattempts +2 of at most 3, 1 failed\ntags +a, b\n/);
      assert.match(stdout, /\n +1 {2}retry +test-worker .* {2}Error: Attempt 1 was told to fail/);
      assert.match(stdout, /\n +2 {2}succeeded +test-worker /);
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
      assert.match(second.stdout, new RegExp(`\n${ids[2]} +scheduled +echo +default +0/3 `));
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
      await watch.line(/running {2}patient {2}attempt 1\/3 {2}█+░+ 50 %/);

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

  describe("cancel", () => {
    it("cancels a job that waits", async () => {
      const job = await client.enqueue("echo", 1, { delayMs: 3_600_000 });

      const { exitCode, stdout } = await baton("cancel", job.id, "--reason", "changed my mind");

      assert.deepEqual([exitCode, stdout], [0, `Job ${job.id} is cancelled.\n`]);
      assert.equal((await job.get()).cancelReason, "changed my mind");
    });

    it("tells the worker of a running job to stop", async () => {
      const id = await aRunningJob("cancel");

      const { stdout } = await baton("cancel", id, "--json");

      assert.deepEqual(JSON.parse(stdout), { id, state: "running" });
      await assert.rejects(client.job(id).result(), { code: "job_failed" });
    });

    it("ends with 7 for a job that has ended", async () => {
      const job = await client.enqueue("echo", 1);
      await job.result();

      const { exitCode, stderr } = await baton("cancel", job.id);

      assert.equal(exitCode, 7);
      assert.match(stderr, /\(job_finished\)/);
    });

    it("cancels what matches a filter, running jobs included", async () => {
      await client.enqueueMany("echo", Array(1_200).fill(0), {
        tags: ["many"],
        delayMs: 3_600_000,
      });
      const running = await aRunningJob("many");

      const { exitCode, stdout } = await baton("cancel", "--tag", "many", "--yes", "--json");

      assert.equal(exitCode, 0);
      assert.deepEqual(JSON.parse(stdout), {
        cancelledCount: 1_200,
        requestedCount: 1,
        hasMore: false,
      });
      await assert.rejects(client.job(running).result(), { code: "job_failed" });
    });

    it("changes no more than --limit, and says that there is more", async () => {
      await client.enqueueMany("echo", [1, 2, 3], { tags: ["limit"], delayMs: 3_600_000 });

      const { stdout } = await baton("cancel", "--tag", "limit", "--yes", "--limit", "2", "--json");

      assert.deepEqual(JSON.parse(stdout), { cancelledCount: 2, requestedCount: 0, hasMore: true });
    });

    const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
      ["nothing to go by", ["--yes"], /will not cancel everything by accident/],
      ["a filter and a job", [NO_JOB, "--queue", "q"], /received both/],
      ["--all and a filter", ["--all", "--queue", "q"], /either --all or a filter/],
      [
        "a final state",
        ["--state", "dead", "--yes"],
        /Expected one or more of waiting, scheduled, queued, running/,
      ],
    ];
    for (const [what, args, message] of refused) {
      it(`refuses ${what}`, async () => {
        const { exitCode, stderr } = await baton("cancel", ...args);

        assert.equal(exitCode, 2);
        assert.match(stderr, message);
      });
    }

    it("does not change many without being sure", async () => {
      const job = await client.enqueue("echo", 1, { tags: ["sure"], delayMs: 3_600_000 });

      const { exitCode, stderr } = await baton("cancel", "--tag", "sure");

      assert.equal(exitCode, 2);
      assert.match(stderr, /This would cancel 1 unfinished jobs with tag sure\. Expected --yes/);
      assert.equal((await job.get()).state, "scheduled");
    });
  });

  describe("dlq", () => {
    it("lists dead jobs with why they died", async () => {
      const id = await aDeadJob("dlq");

      const { stdout } = await baton("dlq", "list", "--tag", "dlq");

      assert.match(
        stdout,
        new RegExp(`\n${id} +test_sleep +default +1 .* {2}Error: Attempt 1 was told to fail`),
      );
    });

    it("redrives one", async () => {
      const id = await aDeadJob("one");

      const { exitCode, stdout } = await baton("dlq", "redrive", id);

      assert.deepEqual([exitCode, stdout], [0, `Job ${id} is back in its queue.\n`]);
      await client.job(id).result();
    });

    it("ends with 7 for a job that is not dead", async () => {
      const job = await client.enqueue("echo", 1);
      await job.result();

      assert.equal((await baton("dlq", "redrive", job.id)).exitCode, 7);
    });

    it("redrives what matches a filter", async () => {
      const ids = await Promise.all(["two", "two"].map(aDeadJob));

      const { exitCode, stdout } = await baton("dlq", "redrive", "--tag", "two", "--yes");

      assert.deepEqual([exitCode, stdout], [0, "2 jobs are back in their queues.\n"]);
      await Promise.all(ids.map((id) => client.job(id).result()));
    });

    it("says so when nothing matches", async () => {
      const { exitCode, stdout } = await baton(
        "dlq",
        "redrive",
        "--tag",
        "nothing",
        "--yes",
        "--json",
      );

      assert.deepEqual([exitCode, JSON.parse(stdout)], [0, { redrivenCount: 0, hasMore: false }]);
    });
  });

  describe("queues", () => {
    it("pauses, shows why, and resumes", async () => {
      const paused = await baton("queues", "pause", "night", "--reason", "too loud");
      const listed = await baton("queues");
      const resumed = await baton("queues", "resume", "night", "--json");

      assert.match(paused.stdout, /^Queue night is paused; 0 running jobs go on, 0 wait\.\n$/);
      assert.match(listed.stdout, /\nnight +paused +0 +0 +0 +too loud\n/);
      assert.equal(JSON.parse(resumed.stdout).isPaused, false);
    });

    it("ends with 6 for a queue that does not exist", async () => {
      const { exitCode, stderr } = await baton("queues", "resume", "nowhere");

      assert.equal(exitCode, 6);
      assert.match(stderr, /\(queue_not_found\)\n.*baton queues/s);
    });
  });

  it("workers shows what workers can do and are doing", async () => {
    const { stdout } = await baton("workers", "--json");

    const [worker] = JSON.parse(stdout).items;
    assert.deepEqual(
      [worker.name, worker.state, worker.labels],
      ["test-worker", "active", { zone: "a" }],
    );
    assert.match(
      (await baton("workers")).stdout,
      /\ntest-worker +active +\d+\/10 +default +echo, .* +zone=a +/,
    );
  });

  it("servers shows this server", async () => {
    const { stdout } = await baton("servers");

    assert.match(
      stdout,
      /^SERVER +ID +STATE +VERSION +WORKERS +STARTED +RENEWED\n.* alive +0\.1\.0 +1 /,
    );
  });

  it("tasks shows all, or one with its schema", async () => {
    const all = await baton("tasks");
    const one = await baton("tasks", "test_sleep", "--json");
    const none = await baton("tasks", "nosuch");

    assert.match(all.stdout, /\necho +default +Returns its input\.\n/);
    assert.equal(JSON.parse(one.stdout).inputSchema.properties.durationMs.type, "integer");
    assert.equal(none.exitCode, 6);
  });
});
