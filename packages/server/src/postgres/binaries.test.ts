import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, chown, lstat, mkdir, mkdtemp, readdir, rm, truncate } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, it, type TestContext } from "node:test";
import { promisify } from "node:util";

import { postgresAccount } from "./account.ts";
import { postgresBinaries, usableBinaries, type BinariesPlace } from "./binaries.ts";

const IS_ROOT = process.getuid?.() === 0;
const account = await postgresAccount();

describe("postgresBinaries", () => {
  it("finds programs that run", async () => {
    const binaries = await postgresBinaries(account);

    const { stdout } = await promisify(execFile)(binaries.initdb, ["--version"], { ...account });
    assert.equal(binaries.major, 18);
    assert.match(stdout, /^initdb \(PostgreSQL\) 18\./);
  });
});

describe("usableBinaries", () => {
  it("makes the links between libraries that the install script did not make", async (t) => {
    const place = await aPlace(t);
    const links = await removeLinks(place.installed);
    assert.ok(links.length > 0);

    const { initdb } = await usableBinaries(place);

    assert.equal(initdb, path.join(place.installed, "bin/initdb"));
    // It needs libpq.so.5, which is one of the links.
    await promisify(execFile)(initdb, ["--version"], { ...account });
    for (const link of links) assert.ok((await lstat(link)).isSymbolicLink());
  });

  describe("where PostgreSQL's account cannot go", { skip: !IS_ROOT }, () => {
    it("copies the programs once, links included", async (t) => {
      const place = await aClosedPlace(t);
      await removeLinks(place.installed);

      const first = await usableBinaries(place);
      const made = await lstat(first.postgres);
      const second = await usableBinaries(place);

      assert.ok(first.initdb.startsWith(place.copyParents[0] ?? "?"));
      assert.deepEqual(second, first);
      assert.equal((await lstat(second.postgres)).ino, made.ino);
      await promisify(execFile)(first.initdb, ["--version"], { ...account });
      assert.equal((await readdir(place.copyParents[0] ?? "?")).length, 1);
    });

    it("lets two that start at once use one copy", async (t) => {
      const place = await aClosedPlace(t);

      const [first, second] = await Promise.all([usableBinaries(place), usableBinaries(place)]);

      assert.deepEqual(first, second);
      assert.equal((await readdir(place.copyParents[0] ?? "?")).length, 1);
    });

    it("replaces a copy in which files are missing or cut", async (t) => {
      const place = await aClosedPlace(t);
      const { postgres } = await usableBinaries(place);
      await truncate(postgres, 1_000);
      await rm(path.join(postgres, "../../share"), { recursive: true });

      const mended = await usableBinaries(place);

      assert.equal(mended.postgres, postgres);
      await lstat(path.join(postgres, "../../share/postgresql/postgres.bki"));
    });

    it("copies files that only their owner may read so that all may, whatever the umask is", async (t) => {
      const place = await aClosedPlace(t);
      await promisify(execFile)("chmod", ["-R", "go-rwx", place.installed]);
      const umask = process.umask(0o077);
      t.after(() => process.umask(umask));

      const { initdb, postgres } = await usableBinaries(place);

      await promisify(execFile)(initdb, ["--version"], { ...account });
      const bki = path.join(postgres, "../../share/postgresql/postgres.bki");
      await promisify(execFile)("cat", [bki], { ...account, maxBuffer: 10_000_000 });
    });

    for (const [name, spoil] of [
      ["belongs to somebody else", (parent: string) => chown(parent, 54_321, 54_321)],
      ["can be changed by everybody", (parent: string) => chmod(parent, 0o777)],
      ["cannot be passed by PostgreSQL", (parent: string) => chmod(parent, 0o700)],
    ] as const) {
      it(`does not copy to a place that ${name}`, async (t) => {
        const place = await aClosedPlace(t);
        const [bad = "?", good = "?"] = place.copyParents;
        await mkdir(bad);
        await spoil(bad);

        const { postgres } = await usableBinaries(place);

        assert.ok(postgres.startsWith(good));
        assert.deepEqual(await readdir(bad), []);
      });
    }

    it("says what to do when there is no place left", async (t) => {
      const place = await aClosedPlace(t);
      for (const parent of place.copyParents) await mkdir(parent, { mode: 0o700 });

      await assert.rejects(usableBinaries(place), {
        code: "postgres_start_failed",
        message: /cannot be used where they are.*cannot be passed.*DATABASE_URL/,
      });
    });
  });

  it("says what to do when the programs do not run", async (t) => {
    const place = await aPlace(t);
    await truncate(path.join(place.installed, "bin/postgres"), 1_000);

    await assert.rejects(usableBinaries(place), {
      code: "postgres_start_failed",
      message: /does not run on this system.*DATABASE_URL/,
    });
  });
});

/** A copy of the installed programs that a test may spoil. */
async function aPlace(t: TestContext): Promise<BinariesPlace> {
  const root = await mkdtemp(path.join(os.tmpdir(), "baton-binaries-"));
  t.after(() => rm(root, { recursive: true }));
  await chmod(root, 0o711);
  const { postgres } = await postgresBinaries(account);
  const installed = path.join(root, "package/native");
  await mkdir(path.dirname(installed));
  await promisify(execFile)("cp", ["-a", path.resolve(postgres, "../.."), installed]);
  return {
    installed,
    copyParents: [path.join(root, "first"), path.join(root, "second")],
    account,
  };
}

async function aClosedPlace(t: TestContext): Promise<BinariesPlace> {
  const place = await aPlace(t);
  await chmod(path.dirname(place.installed), 0o700);
  return place;
}

async function removeLinks(native: string): Promise<readonly string[]> {
  const entries = await readdir(native, { recursive: true, withFileTypes: true });
  const links = entries
    .filter((entry) => entry.isSymbolicLink())
    .map((entry) => path.join(entry.parentPath, entry.name));
  for (const link of links) await rm(link);
  return links;
}
