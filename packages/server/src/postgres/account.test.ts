import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, it, type TestContext } from "node:test";

import { parseNobody, postgresAccount, unreachablePart } from "./account.ts";

const STRANGER = { uid: 54_321, gid: 54_321 };

describe("parseNobody", () => {
  for (const [name, passwd, expected] of [
    [
      "Debian",
      "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
      [65_534, 65_534],
    ],
    ["an old Red Hat", "nobody:x:99:99:Nobody:/:/sbin/nologin\n", [99, 99]],
    [
      "macOS",
      "nobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false\n",
      [4_294_967_294, 4_294_967_294],
    ],
  ] as const) {
    it(`reads the line of ${name}`, () => {
      assert.deepEqual(parseNobody(passwd), { uid: expected[0], gid: expected[1] });
    });
  }

  for (const [name, passwd] of [
    ["an empty file", ""],
    ["a name that only ends alike", "somenobody:x:5:5::/:/bin/sh\n"],
    ["root's user id", "nobody:x:0:65534::/:/bin/sh\n"],
    ["root's group id", "nobody:x:65534:0::/:/bin/sh\n"],
    ["a line without numbers", "nobody:x:::\n"],
  ] as const) {
    it(`finds nobody in ${name}`, () => {
      assert.equal(parseNobody(passwd), undefined);
    });
  }
});

describe("postgresAccount", () => {
  it("is somebody else for root, and nobody else for others", async () => {
    const account = await postgresAccount();

    assert.equal(account === undefined, process.getuid?.() !== 0);
    assert.notEqual(account?.uid, 0);
    assert.notEqual(account?.gid, 0);
  });
});

describe("unreachablePart", () => {
  it("names the first closed directory on the way", async (t) => {
    const root = await aTree(t, "open/closed/inner");
    await chmod(path.join(root, "open/closed"), 0o750);

    const part = await unreachablePart(path.join(root, "open/closed/inner"), STRANGER);

    assert.equal(part, path.join(root, "open/closed"));
  });

  it("accepts directories that can be passed but not listed", async (t) => {
    const root = await aTree(t, "a/b");
    await chmod(path.join(root, "a"), 0o711);

    assert.equal(await unreachablePart(path.join(root, "a/b"), STRANGER), undefined);
  });

  it("follows links to where they lead", async (t) => {
    const root = await aTree(t, "closed/inner");
    await chmod(path.join(root, "closed"), 0o700);
    await symlink(path.join(root, "closed/inner"), path.join(root, "link"));

    assert.equal(
      await unreachablePart(path.join(root, "link"), STRANGER),
      path.join(root, "closed"),
    );
  });

  it("takes the bits of the owner and of the group where they apply", async (t) => {
    const root = await aTree(t, "mine");
    await chmod(path.join(root, "mine"), 0o710);
    const uid = process.getuid?.() ?? 0;
    const gid = process.getgid?.() ?? 0;

    assert.equal(await unreachablePart(path.join(root, "mine"), { uid, gid: 54_321 }), undefined);
    assert.equal(await unreachablePart(path.join(root, "mine"), { uid: 54_321, gid }), undefined);
  });

  it("asks nothing of the file at the end, which is opened by others", async (t) => {
    const root = await aTree(t, "a");
    const file = path.join(root, "a/file");
    await writeFile(file, "", { mode: 0o600 });

    assert.equal(await unreachablePart(file, STRANGER), undefined);
  });

  it("finds nothing when PostgreSQL runs as this process itself", async () => {
    assert.equal(await unreachablePart("/root", undefined), undefined);
  });
});

async function aTree(t: TestContext, below: string): Promise<string> {
  const root = await mkdtemp(path.join(os.tmpdir(), "baton-account-"));
  t.after(() => rm(root, { recursive: true }));
  await chmod(root, 0o755);
  await mkdir(path.join(root, below), { recursive: true });
  return root;
}
