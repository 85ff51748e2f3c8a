import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { before, describe, it } from "node:test";

import { createClient } from "@baton/sdk";

import { aCliWorker } from "../../../test/cli-worker.ts";
import { aServer, runCli, type CliOptions, type CliResult } from "../../../test/cli.ts";
import { suiteCleanup } from "../../../test/suite.ts";

describe("baton submit", () => {
  const cleanup = suiteCleanup();
  let address = "";
  let directory = "";
  before(async () => {
    ({ address } = await aServer(cleanup));
    await aCliWorker(cleanup, address);
    directory = await mkdtemp(path.join(os.tmpdir(), "baton-submit-"));
    cleanup.after(() => rm(directory, { recursive: true }));
  });

  async function submit(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    return runCli(cleanup, ["submit", ...args], {
      ...options,
      env: { BATON_ADDRESS: address, ...options.env },
    });
  }

  async function file(name: string, text: string): Promise<string> {
    const target = path.join(directory, name);
    await writeFile(target, text);
    return target;
  }

  it("prints the id and nothing else, for scripts", async () => {
    const { exitCode, stdout, stderr } = await submit(["echo", '{"a":1}']);

    assert.deepEqual([exitCode, stderr], [0, ""]);
    assert.match(stdout, /^[0-9a-f-]{36}\n$/);
  });

  it("prints the result of a job that it waits for, its numbers as they were", async () => {
    const { exitCode, stdout } = await submit(["echo", "-", "--wait"], {
      input: '{"hello":"world"}',
    });

    assert.deepEqual([exitCode, stdout], [0, '{"hello":"world"}\n']);
  });

  it("passes every option on", async () => {
    const { stdout } = await submit([
      "test_sleep",
      "{}",
      ...["--queue", "elsewhere", "--priority", "-5", "--delay-ms", "1h", "--max-attempts", "7"],
      ...[
        "--retry-strategy",
        "linear",
        "--retry-base-ms",
        "2s",
        "--retry-max-ms",
        "1m",
        "--retry-jitter",
        "none",
      ],
      ...["--attempt-timeout-ms", "10s", "--queue-timeout-ms", "2h", "--deadline-ms", "1d"],
      ...[
        "--heartbeat-timeout-ms",
        "5s",
        "--cancel-grace-ms",
        "100",
        "--tags",
        "a,b",
        "--unique-key",
        "u1",
      ],
      ...["--idempotency-key", "i1", "--on-conflict", "reject", "--json"],
    ]);
    const client = createClient({ address });
    cleanup.after(() => client.close());

    const job = await client.getJob(JSON.parse(stdout).id);

    assert.deepEqual(
      [job.queue, job.priority, job.state, job.maxAttempts, job.tags, job.uniqueKey],
      ["elsewhere", -5, "scheduled", 7, ["a", "b"], "u1"],
    );
    assert.ok(job.runAt !== undefined);
    assert.ok(Math.abs(job.runAt.getTime() - job.createdAt.getTime() - 3_600_000) < 1_000);
  });

  it("ends with 4 when the job died, and says why", async () => {
    const { exitCode, stdout, stderr } = await submit([
      "test_sleep",
      '{"durationMs":1,"dies":true}',
      "--wait",
      "--json",
    ]);

    assert.equal(exitCode, 4);
    const { state, error } = JSON.parse(stdout);
    assert.deepEqual([state, error.code], ["dead", "told_to_fail"]);
    assert.equal(JSON.parse(stderr).error.code, "job_failed");
  });

  it("ends with 8 when the time is over, and leaves the job alone", async () => {
    const { exitCode, stderr } = await submit([
      "echo",
      "--delay-ms=1h",
      "--wait",
      "--wait-timeout-ms=200",
    ]);

    assert.equal(exitCode, 8);
    assert.match(
      stderr,
      /^error: Job [0-9a-f-]{36} has not ended within 200 ms; it goes on\. \(deadline_exceeded\)\n$/,
    );
  });

  it("says when a key led to an earlier job, and refuses another job under that key", async () => {
    const first = await submit(["echo", "1", "--idempotency-key", "k1"]);
    const second = await submit(["echo", "1", "--idempotency-key", "k1", "--json"]);
    const third = await submit(["echo", "2", "--idempotency-key", "k1"]);

    const again = JSON.parse(second.stdout);
    assert.deepEqual([again.id, again.isDuplicate], [first.stdout.trim(), true]);
    assert.equal(third.exitCode, 7);
    assert.match(third.stderr, /\(idempotency_conflict\)/);
  });

  it("sends bytes as they are", async () => {
    const bytes = await file("bytes.bin", "not json");

    const { stdout } = await submit([
      "echo",
      ...["--input-file", bytes, "--input-content-type", "text/plain", "--wait"],
    ]);

    assert.equal(stdout, '"not json"\n');
  });

  const refused: readonly (readonly [string, readonly string[], number, RegExp])[] = [
    ["a task that nobody knows", ["nosuch"], 6, /"nosuch".*\(task_not_found\)\n.*baton tasks/s],
    [
      "malformed JSON",
      ["echo", '{"a":}'],
      2,
      /the input is not JSON: unexpected "}" at column 6 \(malformed_json\)/,
    ],
    [
      "a negative delay",
      ["echo", "--delay-ms", "-5"],
      2,
      /'--delay-ms <duration>'.*received "-5", which is negative/,
    ],
    [
      "a cron expression for a delay",
      ["echo", "--delay-ms", "*/5 * * * *"],
      2,
      /looks like a cron expression/,
    ],
    [
      "a cron expression for a time",
      ["echo", "--run-at", "0 9 * * 1"],
      2,
      /'--run-at <instant>'.*looks like a cron/,
    ],
    [
      "two times",
      ["echo", "--delay-ms", "5", "--run-at", "2099-01-01T00:00:00Z"],
      2,
      /cannot be used with option/,
    ],
    [
      "a priority out of range",
      ["echo", "--priority", "101"],
      2,
      /'--priority <n>'.*from -100 to 100; received "101"/,
    ],
    [
      "a delay out of range",
      ["echo", "--delay-ms", "36500d"],
      2,
      /delayMs must be .*\(invalid_argument\)/,
    ],
    [
      "an unknown option",
      ["echo", "--prority", "1"],
      2,
      /unknown option '--prority'\n\(Did you mean --priority\?\)/,
    ],
    [
      "a missing file",
      ["--file", "/nowhere/jobs.jsonl"],
      2,
      /\/nowhere\/jobs\.jsonl cannot be read: there is no such file/,
    ],
    ["a directory for a file", ["--file", os.tmpdir()], 2, /cannot be read: it is a directory/],
    ["neither task nor file", [], 2, /Expected the name of a task, or --file; received neither/],
    ["waiting for a file", ["--file", "x", "--wait"], 2, /--wait waits for one job/],
    ["a malformed address", ["echo", "--address", "nonsense"], 2, /address must be host:port/],
  ];
  for (const [what, args, code, message] of refused) {
    it(`refuses ${what}`, async () => {
      const { exitCode, stdout, stderr } = await submit(args);

      assert.match(stderr, message);
      assert.deepEqual([exitCode, stdout], [code, ""]);
    });
  }

  it("refuses an input over the limit with both sizes", async () => {
    const { exitCode, stderr } = await submit(["echo", "-"], {
      input: JSON.stringify("x".repeat(1024 * 1024)),
    });

    assert.equal(exitCode, 2);
    assert.match(stderr, /1048576.*1048578.*\(payload_too_large\)/s);
  });

  it("refuses JSON that is nested 10,000 levels deep", async () => {
    const { exitCode, stderr } = await submit(["echo", "-"], {
      input: "[".repeat(10_000) + "]".repeat(10_000),
    });

    assert.equal(exitCode, 2);
    assert.match(stderr, /the input is nested more than 1000 levels deep.*\(malformed_json\)/);
  });

  it("ends with 3 when there is no server, and says what to do", async () => {
    const { exitCode, stderr } = await submit(["echo", "--address", "127.0.0.1:1"]);

    assert.equal(exitCode, 3);
    assert.match(
      stderr,
      /^error: cannot reach Baton at 127\.0\.0\.1:1: connect ECONNREFUSED 127\.0\.0\.1:1 \(connection_failed\)\nIs a server running\?/,
    );
  });

  describe("--file", () => {
    it("submits each line, with the command line's options where a line has none", async () => {
      const lines = ['{"input":1}', "", '{"task":"chatty","input":{"lines":[]},"queue":"other"}'];
      const jobs = await file("jobs.jsonl", lines.join("\n"));

      const { exitCode, stdout } = await submit(["echo", "--file", jobs, "--tags", "t1", "--json"]);

      assert.equal(exitCode, 0);
      assert.deepEqual(JSON.parse(stdout), {
        acceptedCount: 2,
        duplicateCount: 0,
        refusedBatchCount: 0,
        refused: [],
      });
      const client = createClient({ address });
      cleanup.after(() => client.close());
      const { jobs: found } = await client.listJobs({ tag: "t1" });
      assert.deepEqual(
        new Set(found.map(({ task, queue }) => `${task} in ${queue}`)),
        new Set(["chatty in other", "echo in default"]),
      );
    });

    it("submits nothing of a file with a wrong line, and names the line", async () => {
      const jobs = await file(
        "wrong.jsonl",
        '{"task":"echo","tags":["t2"]}\n{"task":"echo","delayMs":-1}\n',
      );

      const { exitCode, stderr } = await submit(["--file", jobs, "--json"]);

      assert.equal(exitCode, 2);
      const { error } = JSON.parse(stderr);
      assert.deepEqual([error.code, error.details.line], ["invalid_argument", 2]);
      assert.match(error.message, /^Line 2 is no job: .* Nothing was submitted\.$/);
      const client = createClient({ address });
      cleanup.after(() => client.close());
      assert.deepEqual((await client.listJobs({ tag: "t2" })).jobs, []);
    });

    it("names every wrong line of a file", async () => {
      const jobs = await file("wrong-lines.jsonl", '{oops}\n{"task":"echo"}\n{"task":"echo"');

      const { exitCode, stderr } = await submit(["--file", jobs]);

      assert.equal(exitCode, 2);
      assert.match(stderr, /^error: 2 lines are no jobs\. Nothing was submitted\. /);
      assert.match(stderr, /\n {2}line 1: .* \(malformed_json\)\n {2}line 3: .*\n$/);
    });

    it("takes standard input as it comes, and says what became of the rest at a wrong line", async () => {
      const input = `${'{"task":"echo"}\n'.repeat(1_010)}{oops}\n{"task":"echo"}\n[]\n`;

      const { exitCode, stderr } = await submit(["--file", "-"], { input });

      assert.equal(exitCode, 2);
      assert.match(
        stderr,
        /^error: 2 lines are no jobs\. Accepted: 1,000 jobs, lines 1 to 1000\. Nothing from line 1001 on was submitted\. /,
      );
      assert.match(stderr, /\n {2}line 1011: .* unexpected "o" at column 2 .*\n {2}line 1013: /);
    });

    it("says that nothing was submitted when the first line of standard input is wrong", async () => {
      const { exitCode, stderr } = await submit(["--file", "-"], { input: "{oops}\n" });

      assert.equal(exitCode, 2);
      assert.match(stderr, /^error: line 1 is not JSON: .*\. Nothing was submitted\. /);
    });

    it("says that nothing was submitted when there is no server", async () => {
      const jobs = await file("unsent.jsonl", '{"task":"echo"}\n{"task":"echo"}\n');

      const { exitCode, stderr } = await submit(["--file", jobs, "--address", "127.0.0.1:1"]);

      assert.equal(exitCode, 3);
      assert.match(stderr, /ECONNREFUSED 127\.0\.0\.1:1\. Nothing was submitted\. \(conn/);
    });

    it("names the lines that the server refused", async () => {
      const lines = ["", '{"task":"echo"}', '{"task":"nosuch"}'];
      const jobs = await file("refused.jsonl", lines.join("\n"));

      const { exitCode, stdout, stderr } = await submit(["--file", jobs]);

      assert.equal(exitCode, 1);
      assert.equal(stdout, "Accepted: 0 jobs.\n");
      assert.match(stderr, /^error: The server refused 1 batch with 2 jobs whole/);
      assert.match(stderr, /\n {2}line 3: .*nosuch.* \(task_not_found\)\n/);
    });

    it("submits 10,000 lines", async () => {
      const { exitCode, stdout } = await submit(["--file", "-"], {
        input: '{"task":"echo","queue":"bulk"}\n'.repeat(10_000),
      });

      assert.deepEqual([exitCode, stdout], [0, "Accepted: 10,000 jobs.\n"]);
    });
  });
});
