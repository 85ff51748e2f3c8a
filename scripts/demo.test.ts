import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { describe, it, type TestContext } from "node:test";

const DEMO = path.resolve(import.meta.dirname, "demo.ts");

describe("npm run demo", () => {
  /** A directory for temporary files, so that it can be seen what is left in it. */
  async function aTemporaryDirectory(t: TestContext): Promise<string> {
    const directory = await mkdtemp(path.join(os.tmpdir(), "baton-demo-test-"));
    // As root, PostgreSQL's account must be able to pass.
    await chmod(directory, 0o711);
    t.after(() => rm(directory, { recursive: true }));
    return directory;
  }

  function startDemo(t: TestContext, temporary: string) {
    const child = spawn(process.execPath, ["--conditions=source", DEMO], {
      // Settings of a Baton that is really used must not lead the demo to it.
      env: {
        ...process.env,
        TMPDIR: temporary,
        DATABASE_URL: "postgres://localhost:1/real",
        BATON_HOST: "0.0.0.0",
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    t.after(() => child.kill("SIGKILL"));
    return child;
  }

  it("shows that everything comes out as it should, and leaves nothing behind", async (t) => {
    const temporary = await aTemporaryDirectory(t);
    const child = startDemo(t, temporary);

    const [output, errors] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "exit"),
    ]);

    assert.deepEqual([child.exitCode, errors], [0, ""], output);
    for (const name of [
      "image_processing",
      "web_scraping",
      "data_analysis",
      "http",
      "bulk",
      "retry",
      "dead letters",
    ]) {
      assert.match(output, new RegExp(`│ ✔ ${name} +│`));
    }
    assert.match(output, /All 13 came out as they should/);
    assert.deepEqual(await readdir(temporary), []);
  });

  it("stops in the middle on Ctrl-C, and leaves nothing behind", async (t) => {
    const temporary = await aTemporaryDirectory(t);
    const child = startDemo(t, temporary);
    const output: string[] = [];
    for await (const chunk of child.stdout.setEncoding("utf8")) {
      output.push(String(chunk));
      if (output.join("").includes("test_sleep        begins")) break;
    }

    child.kill("SIGINT");
    await once(child, "exit");

    assert.equal(child.exitCode, 130);
    assert.deepEqual(await readdir(temporary), []);
  });
});
