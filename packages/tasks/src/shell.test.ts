import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";

import { exerciseTask, run } from "../test/exercise-task.ts";
import { endsForGood, transient } from "../test/refusals.ts";
import { temporaryFolder } from "../test/temporary-folder.ts";
import { testContext } from "../test/task-context.ts";
import { shellTask, type ShellOptions } from "./shell.ts";

// A folder of PATH that may not be read would turn "not found" into "not allowed".
const ENVIRONMENT = { PATH: "/usr/bin:/bin", SECRET: "secret", OPEN: "open" };

function aTask(shell: Partial<ShellOptions> = {}, directory?: string) {
  return shellTask({
    shell: { allowedCommands: ["echo", "cat", "sh", "env", "pwd", "true"], ...shell },
    files: { name: "files", setting: "FILES_SETTING", directory },
    environment: ENVIRONMENT,
  });
}

const sh = (script: string, input: object = {}) => ({
  command: "sh",
  args: ["-c", script],
  ...input,
});

interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
}

async function outcomeOf(input: object, task = aTask()): Promise<Outcome> {
  return (await run(task, input)) as Outcome;
}

exerciseTask("shell", () =>
  Promise.resolve({
    task: aTask(),
    good: {
      "a command": { command: "echo", args: ["hi"] },
      "an exit code that is expected": sh("exit 3", { expectedExitCodes: [3] }),
      "input that is not read": { command: "true", stdin: "x".repeat(1_000_000) },
    },
    bad: {
      "no command": {},
      "an empty command": { command: "" },
      "a command that is not allowed": { command: "rm", args: ["-rf", "/"] },
      "an allowed command by another path": { command: "/bin/echo" },
      "a line for a shell": { command: "echo hi; rm x" },
      "a NUL byte": { command: "echo", args: ["a\0b"] },
      "an argument that is no text": { command: "echo", args: [1] },
      "a variable that is not allowed": { command: "env", env: { LD_PRELOAD: "x.so" } },
      "a variable's name that is none": { command: "env", env: { "A=B": "x" } },
      "a way out of the folder": { command: "pwd", cwd: "../" },
      "a folder where there is none": { command: "pwd", cwd: "sub" },
      "an exit code out of range": { command: "true", expectedExitCodes: [256] },
      "too much output wanted": { command: "true", outputBytesMax: 256 * 1024 + 1 },
      "a field that is unknown": { command: "true", shell: true },
    },
    long: { input: sh("echo started; sleep 60") },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }),
);

describe("shell", () => {
  it("returns exit code and output", async () => {
    const result = await run(aTask(), sh("echo out; echo err >&2"));

    assert.partialDeepStrictEqual(result, {
      exitCode: 0,
      endedBy: null,
      stdout: "out\n",
      stderr: "err\n",
      stdoutIsTruncated: false,
      stderrIsTruncated: false,
    });
  });

  it("passes arguments on as they are", async () => {
    const args = ["$HOME", "*", "a b", "'\"", "; echo x", "$(id)", "-n"];

    const { stdout } = await outcomeOf({ command: "echo", args });

    assert.equal(stdout, `${args.join(" ")}\n`);
  });

  it("writes the input", async () => {
    const { stdout } = await outcomeOf({ command: "cat", stdin: "zürich" });

    assert.equal(stdout, "zürich");
  });

  it("fails on another exit code, with the end of what the command complained", async () => {
    await assert.rejects(
      run(aTask(), sh("echo first >&2; echo last >&2; exit 7")),
      transient(/^"sh" exited with 7: first\nlast$/),
    );
  });

  it("fails when a signal ended the command", async () => {
    await assert.rejects(
      run(aTask(), sh("kill -9 $$")),
      transient(/^"sh" was ended by SIGKILL\.$/),
    );
  });

  it("runs anything when all is allowed", async () => {
    const { stdout } = await outcomeOf(
      { command: "/bin/echo", args: ["x"] },
      aTask({ allowedCommands: "all" }),
    );

    assert.equal(stdout, "x\n");
  });

  it("gives up on a command that this worker does not have, or may not run", async () => {
    const task = aTask({ allowedCommands: "all" });

    await assert.rejects(
      run(task, { command: "baton-no-such-command" }),
      endsForGood(
        "command_unusable",
        /"baton-no-such-command" cannot be started: there is no such command/,
      ),
    );
    await assert.rejects(
      run(task, { command: "/etc/passwd" }),
      endsForGood("command_unusable", /may not execute/),
    );
  });
});

describe("shell, environment and folder", () => {
  it("hides the worker's environment but for what every command needs", async () => {
    const { stdout } = await outcomeOf({ command: "env" });

    const names = stdout.split("\n").map((line) => line.split("=", 1)[0] ?? "");
    assert.ok(names.includes("PATH"));
    assert.ok(!names.includes("SECRET") && !names.includes("OPEN"));
  });

  it("passes on and lets set what is allowed", async () => {
    const task = aTask({ allowedEnvironment: ["OPEN", "NEW"] });

    const inherited = await outcomeOf(sh("echo $OPEN-$NEW"), task);
    const given = await outcomeOf(sh("echo $OPEN-$NEW", { env: { OPEN: "mine", NEW: "1" } }), task);

    assert.equal(inherited.stdout, "open-\n");
    assert.equal(given.stdout, "mine-1\n");
  });

  it("runs in an empty folder of its own, and removes it", async () => {
    const { stdout } = await outcomeOf(sh("pwd; ls -A; touch file"));

    const [directory = "", ...listed] = stdout.trimEnd().split("\n");
    assert.match(directory, /baton-shell-/);
    assert.deepEqual(listed, []);
    assert.ok(!(await readdir(tmpdir())).some((name) => directory.endsWith(name)));
  });

  it("runs in a folder below the files folder, and not in one outside", async () => {
    await using tree = await temporaryFolder();
    await mkdir(join(tree.path, "sub"));
    await symlink("/", join(tree.path, "out"));
    const task = aTask({}, tree.path);

    const { stdout } = await outcomeOf({ command: "pwd", cwd: "sub" }, task);

    assert.equal(stdout, `${join(tree.path, "sub")}\n`);
    await assert.rejects(
      run(task, { command: "pwd", cwd: "out" }),
      endsForGood("path_refused", /leads out/),
    );
  });
});

describe("shell, bounds", () => {
  it("keeps the start of a long output, reads the rest, and says so", async () => {
    const result = await run(
      aTask(),
      sh("yes | head -c 10000000; echo end >&2", { outputBytesMax: 5 }),
    );

    assert.partialDeepStrictEqual(result, {
      exitCode: 0,
      stdout: "y\ny\ny",
      stdoutIsTruncated: true,
      stderr: "end\n",
      stderrIsTruncated: false,
    });
  });

  it("takes output of exactly the limit for the whole", async () => {
    const result = await run(aTask(), sh("printf 12345", { outputBytesMax: 5 }));

    assert.partialDeepStrictEqual(result, { stdout: "12345", stdoutIsTruncated: false });
  });

  it("ends a command that takes longer than allowed", async () => {
    await assert.rejects(
      run(aTask(), sh("sleep 60", { timeoutMs: 50 })),
      transient(/^"sh" took longer than 50 ms and was ended\.$/),
    );
  });

  it("counts output as a sign of life", async () => {
    const context = testContext();

    await run(aTask(), sh("echo alive"), context);

    await context.underWay;
  });

  it("ends what the command has started in the background, also when the command ends well", async () => {
    await using tree = await temporaryFolder();
    const { stdout } = await outcomeOf(
      sh("sleep 60 & echo $!; sleep 60 > /dev/null & echo $!", { cwd: "." }),
      aTask({}, tree.path),
    );

    const pids = stdout.trim().split("\n").map(Number);
    assert.equal(pids.length, 2);
    for (const pid of pids) await gone(pid);
  });

  it("kills a command that ignores the request to end", async () => {
    const controller = new AbortController();
    const context = testContext({ signal: controller.signal });
    const reason = new Error("cancelled by a test");
    await using tree = await temporaryFolder();
    // Writes its pid, then does nothing but to stay.
    await writeFile(
      join(tree.path, "stay"),
      "trap '' TERM; echo $$ > pid; echo started; while :; do sleep 1; done",
    );

    const startedAtMs = performance.now();
    const ended = assert.rejects(
      run(aTask({}, tree.path), { command: "sh", args: ["stay"], cwd: "." }, context),
      reason,
    );
    await context.underWay;
    controller.abort(reason);
    await ended;

    // SIGTERM, five seconds, SIGKILL.
    assert.ok(performance.now() - startedAtMs < 20_000);
  });

  it("lets a command clean up when it is asked to end", async () => {
    const controller = new AbortController();
    const context = testContext({ signal: controller.signal });
    const reason = new Error("cancelled by a test");
    await using tree = await temporaryFolder();
    const script = "trap 'touch cleaned; exit 0' TERM; echo started; sleep 60 & wait";

    const ended = assert.rejects(
      run(aTask({}, tree.path), sh(script, { cwd: "." }), context),
      reason,
    );
    await context.underWay;
    controller.abort(reason);
    await ended;

    assert.deepEqual(await readdir(tree.path), ["cleaned"]);
  });
});

/** Waits for the end of a process. A dead one that its parent has not noticed yet counts as ended. */
async function gone(pid: number): Promise<void> {
  while (isRunning(pid)) await new Promise(setImmediate);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    if (process.platform !== "linux") return true;
    // "pid (name) state …"
    return !/^\d+ \(.*\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
