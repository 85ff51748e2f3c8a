import assert from "node:assert/strict";
import { chmod, chown, cp, lstat, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, it, type TestContext } from "node:test";

import { defaultDataDirectory, openDataDirectory } from "./data-directory.ts";

const IS_ROOT = process.getuid?.() === 0;

describe("defaultDataDirectory", () => {
  it("is .baton in the base", async (t) => {
    const base = await aBase(t);

    assert.equal(await defaultDataDirectory(base), path.join(base, ".baton"));
  });

  it(
    "moves to /var/lib/baton for root where PostgreSQL cannot go",
    { skip: !IS_ROOT },
    async (t) => {
      const base = await aBase(t);
      await chmod(base, 0o700);

      const first = await defaultDataDirectory(base);

      assert.match(first, /^\/var\/lib\/baton\/baton-base-[A-Za-z0-9]+-[0-9a-f]{8}$/);
      assert.equal(await defaultDataDirectory(base), first);
      assert.notEqual(await defaultDataDirectory(path.join(base, "..")), first);
    },
  );

  it("stays for root where the data of an ordinary user are", { skip: !IS_ROOT }, async (t) => {
    const base = await aBase(t);
    await mkdir(path.join(base, ".baton/postgres"), { recursive: true });
    for (const part of ["", ".baton", ".baton/postgres"]) {
      await chmod(path.join(base, part), 0o700);
      await chown(path.join(base, part), 54_321, 54_321);
    }

    assert.equal(await defaultDataDirectory(base), path.join(base, ".baton"));
  });
});

describe("openDataDirectory", () => {
  it("makes all that is missing, closed to other users' eyes", async (t) => {
    const directory = path.join(await aBase(t), "made/here");

    const opened = await openDataDirectory(directory);

    assert.equal((await lstat(directory)).mode & 0o777, IS_ROOT ? 0o711 : 0o700);
    assert.equal((await lstat(path.join(directory, "baton.json"))).mode & 0o777, 0o600);
    assert.equal((await lstat(opened.socketDirectory)).mode & 0o777, 0o700);
    assert.equal(
      (await lstat(opened.socketDirectory)).uid,
      opened.account?.uid ?? process.getuid?.(),
    );
  });

  it("finds the same password again, also when two open it first at once", async (t) => {
    const directory = path.join(await aBase(t), "data");

    const opened = await Promise.all([openDataDirectory(directory), openDataDirectory(directory)]);
    const again = await openDataDirectory(directory);

    assert.deepEqual(
      opened.map(({ password }) => password),
      [again.password, again.password],
    );
    assert.match(again.password, /^[\w-]{32}$/);
  });

  it("keeps the mode of a directory that was there", async (t) => {
    const directory = path.join(await aBase(t), "data");
    await mkdir(directory);
    await chmod(directory, 0o755);

    await openDataDirectory(directory);

    assert.equal((await lstat(directory)).mode & 0o777, 0o755);
  });

  it("puts the socket elsewhere when the path has 108 bytes or more, whatever the letters", async (t) => {
    const base = await aBase(t);
    const room = 107 - Buffer.byteLength(path.join(base, "x/socket/.s.PGSQL.5432")) + 1;
    const short = path.join(base, "x".repeat(room));
    const long = path.join(base, "ü".repeat(Math.ceil((room + 1) / 2)));

    const [fits, moved] = [await openDataDirectory(short), await openDataDirectory(long)];
    t.after(() => rm(moved.socketDirectory, { recursive: true }));

    assert.equal(fits.socketDirectory, path.join(short, "socket"));
    assert.ok(!moved.socketDirectory.startsWith(base));
    assert.equal((await openDataDirectory(long)).socketDirectory, moved.socketDirectory);
  });

  it("does not trust a linked socket directory that others can enter", async (t) => {
    const directory = path.join(await aBase(t), "deep".repeat(30));
    const first = await openDataDirectory(directory);
    t.after(() => rm(first.socketDirectory, { recursive: true }));
    await chmod(first.socketDirectory, 0o777);

    const second = await openDataDirectory(directory);
    t.after(() => rm(second.socketDirectory, { recursive: true }));

    assert.notEqual(second.socketDirectory, first.socketDirectory);
    assert.equal((await lstat(second.socketDirectory)).mode & 0o777, 0o700);
  });

  it("gives a copy of a deep directory a socket of its own", async (t) => {
    const base = await aBase(t);
    const original = await openDataDirectory(path.join(base, "deep".repeat(30)));
    t.after(() => rm(original.socketDirectory, { recursive: true }));
    await cp(original.path, `${original.path}copy`, { recursive: true, verbatimSymlinks: true });

    const copy = await openDataDirectory(`${original.path}copy`);
    t.after(() => rm(copy.socketDirectory, { recursive: true }));

    assert.notEqual(copy.socketDirectory, original.socketDirectory);
    assert.equal(
      (await openDataDirectory(original.path)).socketDirectory,
      original.socketDirectory,
    );
  });

  it("agrees on one socket when two open a deep directory first at once", async (t) => {
    const directory = path.join(await aBase(t), "deep".repeat(30));

    const opened = await Promise.all([openDataDirectory(directory), openDataDirectory(directory)]);
    t.after(() => rm(opened[0].socketDirectory, { recursive: true }));

    assert.equal(opened[0].socketDirectory, opened[1].socketDirectory);
    await lstat(opened[0].socketDirectory);
  });

  it("refuses a file in its place", async (t) => {
    const file = path.join(await aBase(t), "file");
    await writeFile(file, "");

    await assert.rejects(openDataDirectory(file), {
      code: "data_directory_unusable",
      message: /cannot be used: .*BATON_DATA_DIRECTORY/,
    });
  });

  it("refuses data whose password file is gone, and makes no new one", async (t) => {
    const directory = path.join(await aBase(t), "data");
    await mkdir(path.join(directory, "postgres"), { recursive: true });
    await writeFile(path.join(directory, "postgres/PG_VERSION"), "18\n");

    await assert.rejects(openDataDirectory(directory), {
      code: "data_directory_unusable",
      message: /baton\.json is missing/,
    });

    await assert.rejects(readFile(path.join(directory, "baton.json")), { code: "ENOENT" });
  });

  for (const text of ["", "nonsense", "null", "{}", '{"password":7}']) {
    it(`refuses ${text === "" ? "an empty" : "the"} password file ${text}`, async (t) => {
      const directory = path.join(await aBase(t), "data");
      await mkdir(directory);
      await writeFile(path.join(directory, "baton.json"), text);

      await assert.rejects(openDataDirectory(directory), { code: "data_directory_unusable" });
    });
  }
});

async function aBase(t: TestContext): Promise<string> {
  const base = await mkdtemp(path.join(os.tmpdir(), "baton-base-"));
  t.after(() => rm(base, { recursive: true }));
  await chmod(base, 0o711);
  return base;
}
