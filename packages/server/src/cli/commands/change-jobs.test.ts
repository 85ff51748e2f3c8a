/** The commands that change jobs, and those about everything around them, against one server. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { createClient, type Client } from "@baton/sdk";

import { aCliWorker } from "../../../test/cli-worker.ts";
import { aServer, runCli, type CliResult } from "../../../test/cli.ts";
import { suiteCleanup } from "../../../test/suite.ts";

const NO_JOB = "01a20122-bd31-7000-9dd7-a4100fe46f87";

describe("commands that change jobs", () => {
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
      assert.match(
        stderr,
        /This would cancel unfinished jobs with tag sure \(1\)\. Expected --yes/,
      );
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

      assert.deepEqual([exitCode, stdout], [0, "Redriven: 2 jobs.\n"]);
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

      assert.match(
        paused.stdout,
        /^Queue night is paused\. Running jobs go on: 0; waiting: 0\.\n$/,
      );
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
