import assert from "node:assert/strict";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, it, type TestContext } from "node:test";

import { boundLogFile } from "./log-file.ts";

describe("boundLogFile", () => {
  it("leaves a small or missing file alone", async (t) => {
    const file = path.join(await aDirectory(t), "postgres.log");

    assert.equal(await boundLogFile(file, 5), false);
    await (await open(file, "a")).close();
    assert.equal(await boundLogFile(file, 5), false);
  });

  it("moves what is too much aside, and a writer that holds the file goes on at its new beginning", async (t) => {
    const file = path.join(await aDirectory(t), "postgres.log");
    const writer = await open(file, "a");
    t.after(() => writer.close());
    await writer.write("old lines\n");

    assert.equal(await boundLogFile(file, 5), true);
    await writer.write("new\n");

    assert.equal(await readFile(file, "utf8"), "new\n");
    assert.equal(await readFile(`${file}.1`, "utf8"), "old lines\n");
    assert.equal(await boundLogFile(file, 5), false);
  });

  it("keeps one older file only", async (t) => {
    const file = path.join(await aDirectory(t), "postgres.log");
    const writer = await open(file, "a");
    t.after(() => writer.close());
    await writer.write("first\n");
    await boundLogFile(file, 1);
    await writer.write("second\n");

    await boundLogFile(file, 1);

    assert.equal(await readFile(`${file}.1`, "utf8"), "second\n");
  });
});

async function aDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "baton-log-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}
