import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";

import { endsForGood } from "../../test/refusals.ts";
import { temporaryFolder } from "../../test/temporary-folder.ts";
import {
  existingDirectory,
  existingFile,
  readFileBelow,
  writeFileBelow,
  type AllowedFolder,
} from "./allowed-folder.ts";

const READ = { bytesMax: 100, signal: new AbortController().signal };

function aFolder(directory: string | undefined): AllowedFolder {
  return { name: "files", setting: "FILES_SETTING", directory };
}

/** `<root>/inside/…` is allowed; `<root>/outside` and `<root>/inside-too` are not. */
async function aTree() {
  const root = await temporaryFolder();
  await mkdir(join(root.path, "inside", "sub"), { recursive: true });
  await mkdir(join(root.path, "inside-too"));
  await mkdir(join(root.path, "outside"));
  await writeFile(join(root.path, "inside", "a.txt"), "a");
  await writeFile(join(root.path, "inside", "sub", "b.txt"), "b");
  await writeFile(join(root.path, "inside-too", "secret.txt"), "secret");
  await writeFile(join(root.path, "outside", "secret.txt"), "secret");
  const folder = aFolder(join(root.path, "inside"));
  return Object.assign(root, { folder, inside: join(root.path, "inside") });
}

const PATHS_REFUSED = [
  "",
  "..",
  "../outside/secret.txt",
  "../inside-too/secret.txt",
  "sub/../../outside/secret.txt",
  "sub/..",
  "sub\\..\\..\\outside\\secret.txt",
  "/etc/passwd",
  "a.txt\0.png",
  "x".repeat(1_025),
];

describe("existingFile", () => {
  for (const path of ["a.txt", "sub/b.txt", "./sub/b.txt", "sub//b.txt"]) {
    it(`finds ${path}`, async () => {
      await using tree = await aTree();

      assert.equal(await existingFile(tree.folder, path), join(tree.inside, path));
    });
  }

  for (const path of PATHS_REFUSED) {
    it(`refuses ${JSON.stringify(path.slice(0, 40))}`, async () => {
      await using tree = await aTree();

      await assert.rejects(
        existingFile(tree.folder, path),
        endsForGood("path_refused", /^Expected a path relative to the files folder/),
      );
    });
  }

  for (const target of ["../outside/secret.txt", "../inside-too/secret.txt", "/etc/passwd"]) {
    it(`refuses a symbolic link to ${target}`, async () => {
      await using tree = await aTree();
      await symlink(target, join(tree.inside, "link"));

      await assert.rejects(
        existingFile(tree.folder, "link"),
        endsForGood("path_refused", /"link" leads out of the files folder/),
      );
    });
  }

  it("refuses a file below a symbolic link to a folder outside", async () => {
    await using tree = await aTree();
    await symlink("../outside", join(tree.inside, "link"));

    await assert.rejects(
      existingFile(tree.folder, "link/secret.txt"),
      endsForGood("path_refused", /leads out/),
    );
  });

  it("follows a symbolic link that stays inside", async () => {
    await using tree = await aTree();
    await symlink("sub/b.txt", join(tree.inside, "link"));

    assert.equal(await existingFile(tree.folder, "link"), join(tree.inside, "sub", "b.txt"));
  });

  it("works when the folder itself is reached by a symbolic link", async () => {
    await using tree = await aTree();
    await symlink("inside", join(tree.path, "alias"));

    const file = await existingFile(aFolder(join(tree.path, "alias")), "a.txt");

    assert.equal(file, join(tree.inside, "a.txt"));
  });

  it("names what is missing", async () => {
    await using tree = await aTree();

    await assert.rejects(
      existingFile(tree.folder, "sub/none.txt"),
      endsForGood(
        "file_unusable",
        /"sub\/none\.txt" in the files folder cannot be used: there is no such file/,
      ),
    );
  });

  it("refuses links that go round in circles", async () => {
    await using tree = await aTree();
    await symlink("loop", join(tree.inside, "loop"));

    await assert.rejects(
      existingFile(tree.folder, "loop"),
      endsForGood("file_unusable", /go round in circles/),
    );
  });

  it("refuses a folder and a named pipe, which would never end", async () => {
    await using tree = await aTree();
    execFileSync("mkfifo", [join(tree.inside, "pipe")]);

    await assert.rejects(
      existingFile(tree.folder, "sub"),
      endsForGood("file_unusable", /"sub" is none/),
    );
    await assert.rejects(
      existingFile(tree.folder, "pipe"),
      endsForGood("file_unusable", /"pipe" is none/),
    );
  });

  it("names the setting when the worker has no folder", async () => {
    await assert.rejects(
      existingFile(aFolder(undefined), "a.txt"),
      endsForGood("folder_not_configured", /no files folder\. .* FILES_SETTING/),
    );
  });

  it("names the setting when the folder does not exist", async () => {
    await using root = await temporaryFolder();

    await assert.rejects(
      existingFile(aFolder(join(root.path, "none")), "a.txt"),
      endsForGood("folder_not_configured", /cannot be used\. Look at FILES_SETTING/),
    );
  });
});

describe("existingDirectory", () => {
  it("finds the folder itself and one below", async () => {
    await using tree = await aTree();

    assert.equal(await existingDirectory(tree.folder, "."), tree.inside);
    assert.equal(await existingDirectory(tree.folder, "sub"), join(tree.inside, "sub"));
  });

  it("refuses a file and a way out", async () => {
    await using tree = await aTree();

    await assert.rejects(
      existingDirectory(tree.folder, "a.txt"),
      endsForGood("file_unusable", /is none/),
    );
    await assert.rejects(
      existingDirectory(tree.folder, "../outside"),
      endsForGood("path_refused", /relative/),
    );
  });
});

describe("readFileBelow", () => {
  it("reads a file of at most the limit", async () => {
    await using tree = await aTree();
    await writeFile(join(tree.inside, "full"), "x".repeat(100));

    assert.equal((await readFileBelow(tree.folder, "full", READ)).length, 100);
  });

  it("refuses a larger one, with both sizes", async () => {
    await using tree = await aTree();
    await writeFile(join(tree.inside, "large"), "x".repeat(101));

    await assert.rejects(
      readFileBelow(tree.folder, "large", READ),
      endsForGood("file_too_large", /at most 100 bytes; "large" has 101 bytes/),
    );
  });
});

describe("writeFileBelow", () => {
  it("writes a file, makes the folders on the way and leaves nothing else behind", async () => {
    await using tree = await aTree();

    await writeFileBelow(tree.folder, "new/deep/c.txt", Buffer.from("c"));

    assert.equal(await readFile(join(tree.inside, "new/deep/c.txt"), "utf8"), "c");
    assert.deepEqual(await readdir(join(tree.inside, "new/deep")), ["c.txt"]);
  });

  it("replaces a file of that name", async () => {
    await using tree = await aTree();

    await writeFileBelow(tree.folder, "a.txt", Buffer.from("again"));

    assert.equal(await readFile(join(tree.inside, "a.txt"), "utf8"), "again");
  });

  for (const path of PATHS_REFUSED) {
    it(`refuses ${JSON.stringify(path.slice(0, 40))}`, async () => {
      await using tree = await aTree();

      await assert.rejects(
        writeFileBelow(tree.folder, path, Buffer.from("x")),
        endsForGood("path_refused", /^Expected a path relative/),
      );
    });
  }

  it("makes no folder outside through a symbolic link", async () => {
    await using tree = await aTree();
    await symlink("../outside", join(tree.inside, "link"));

    await assert.rejects(
      writeFileBelow(tree.folder, "link/new/x.txt", Buffer.from("x")),
      endsForGood("path_refused", /leads out/),
    );
    assert.deepEqual(await readdir(join(tree.path, "outside")), ["secret.txt"]);
  });

  it("makes no folder where a dangling symbolic link points to", async () => {
    await using tree = await aTree();
    await symlink("../made", join(tree.inside, "link"));

    await assert.rejects(writeFileBelow(tree.folder, "link/x.txt", Buffer.from("x")), Error);
    assert.deepEqual((await readdir(tree.path)).sort(), ["inside", "inside-too", "outside"]);
  });

  it("replaces a symbolic link instead of writing through it", async () => {
    await using tree = await aTree();
    await symlink("../outside/secret.txt", join(tree.inside, "link"));

    await writeFileBelow(tree.folder, "link", Buffer.from("mine"));

    assert.equal(await readFile(join(tree.path, "outside/secret.txt"), "utf8"), "secret");
    assert.equal((await stat(join(tree.inside, "link"))).size, 4);
  });

  it("refuses a folder as the target and a file on the way", async () => {
    await using tree = await aTree();

    await assert.rejects(
      writeFileBelow(tree.folder, "sub", Buffer.from("x")),
      endsForGood("file_unusable", /it is a folder/),
    );
    await assert.rejects(
      writeFileBelow(tree.folder, "a.txt/x", Buffer.from("x")),
      endsForGood("file_unusable", /no folder/),
    );
    assert.deepEqual((await readdir(tree.inside)).sort(), ["a.txt", "sub"]);
  });
});
