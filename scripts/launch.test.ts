import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { missingDependencies } from "./launch/dependencies.mjs";
import { processOf, takeInstallLock } from "./launch/install-lock.mjs";
import { isNewEnough } from "./launch/runtime.mjs";

const REPOSITORY = dirname(import.meta.dirname);
const LINUX = { os: "linux", cpu: "x64", libc: "glibc" };

let scratch: string;
before(() => {
  scratch = mkdtempSync(join(tmpdir(), "baton-launch-"));
});
after(() => rmSync(scratch, { recursive: true, force: true }));

let count = 0;
/** A directory with the given files; objects are written as JSON. */
function aDirectory(files: Readonly<Record<string, string | object>>): string {
  const root = join(scratch, String((count += 1)));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(
      join(root, path),
      typeof content === "string" ? content : JSON.stringify(content),
    );
  }
  return root;
}

describe("missingDependencies", () => {
  const a = { version: "1.0.0", integrity: "sha512-a" };
  const lock = (packages: object): object => ({ packages: { "": {}, ...packages } });

  it("finds nothing missing when the install matches the lock", () => {
    const root = aDirectory({
      "package-lock.json": lock({ "node_modules/a": a, "packages/x": { version: "1.0.0" } }),
      "node_modules/.package-lock.json": lock({ "node_modules/a": a }),
      "node_modules/a/package.json": {},
    });

    assert.deepEqual(missingDependencies(root, LINUX), []);
  });

  it("misses everything when an install was killed before npm wrote its record", () => {
    const root = aDirectory({
      "package-lock.json": lock({ "node_modules/a": a }),
      "node_modules/a/package.json": {},
    });

    assert.deepEqual(missingDependencies(root, LINUX), ["node_modules"]);
  });

  const differences = {
    "another version": { ...a, version: "1.0.1" },
    "other content of the same version": { ...a, integrity: "sha512-b" },
  };
  for (const [name, wanted] of Object.entries(differences)) {
    it(`misses a package of which the lock wants ${name}`, () => {
      const root = aDirectory({
        "package-lock.json": lock({ "node_modules/a": wanted }),
        "node_modules/.package-lock.json": lock({ "node_modules/a": a }),
        "node_modules/a/package.json": {},
      });

      assert.deepEqual(missingDependencies(root, LINUX), ["node_modules/a"]);
    });
  }

  it("misses a package whose folder was deleted", () => {
    const root = aDirectory({
      "package-lock.json": lock({ "node_modules/a": a }),
      "node_modules/.package-lock.json": lock({ "node_modules/a": a }),
    });

    assert.deepEqual(missingDependencies(root, LINUX), ["node_modules/a"]);
  });

  it("misses packages of this platform and not those of others", () => {
    const root = aDirectory({
      "package-lock.json": lock({
        "node_modules/p-linux": { ...a, optional: true, os: "linux", cpu: ["x64"] },
        "node_modules/p-musl": { ...a, optional: true, os: ["linux"], libc: ["musl"] },
        "node_modules/p-darwin": { ...a, optional: true, os: ["darwin"] },
        "node_modules/p-not-linux": { ...a, optional: true, os: ["!linux"] },
        "node_modules/p-any": { ...a, optional: true },
      }),
      "node_modules/.package-lock.json": lock({}),
    });

    assert.deepEqual(missingDependencies(root, LINUX), ["node_modules/p-linux"]);
  });
});

describe("isNewEnough", () => {
  const versions = { "20.20.2": false, "24.11.9": false, "24.12.0": true, "26.0.0": true };
  for (const [version, expected] of Object.entries(versions)) {
    it(`says ${expected} for Node ${version}`, () => {
      assert.equal(isNewEnough(version), expected);
    });
  }
});

describe("takeInstallLock", () => {
  const LOCK = ".baton-install.lock";

  it("lets one start in at a time", async () => {
    const root = aDirectory({ "package.json": {} });
    let inside = 0;
    let most = 0;
    const start = async (): Promise<void> => {
      const lock = await takeInstallLock(root, () => undefined);
      most = Math.max(most, (inside += 1));
      await sleep(20);
      inside -= 1;
      lock.release();
    };

    await Promise.all([start(), start(), start()]);

    assert.equal(most, 1);
  });

  it("takes over from a start that was killed", async () => {
    const gone = { pid: await aDeadPid(), startedAt: "1" };
    const owner = { token: "t", host: hostname(), launcher: gone, npm: gone };
    const root = aDirectory({ [LOCK]: owner });

    const lock = await takeInstallLock(root, () => assert.fail("waited for a dead process"));

    lock.release();
  });

  it("takes over when the owner's process id belongs to another program by now", async () => {
    const other = { pid: process.pid, startedAt: "1" };
    const root = aDirectory({ [LOCK]: { token: "t", host: hostname(), launcher: other } });

    const lock = await takeInstallLock(root, () => assert.fail("waited for another program"));

    lock.release();
  });

  const living = processOf(process.pid);
  const waits = {
    "for a living owner": { host: hostname(), launcher: living },
    "for the npm of a start that was killed": {
      host: hostname(),
      launcher: { pid: 2 ** 22 + 1, startedAt: "1" },
      npm: living,
    },
    "for an owner on another machine": {
      host: "elsewhere",
      launcher: { pid: 2 ** 22 + 1, startedAt: "1" },
    },
  };
  for (const [name, owner] of Object.entries(waits)) {
    it(`waits ${name}`, async () => {
      const root = aDirectory({ [LOCK]: { token: "t", ...owner } });
      const waited = Promise.withResolvers<void>();

      const taken = takeInstallLock(root, () => waited.resolve());

      await waited.promise;
      rmSync(join(root, LOCK));
      (await taken).release();
    });
  }
});

async function aDeadPid(): Promise<number> {
  const child = spawn(process.execPath, ["--version"], { stdio: "ignore" });
  await once(child, "exit");
  return child.pid ?? assert.fail("not started");
}

describe("launch", () => {
  /** Says what happens to it, one word per line; `argv[3]` is its exit code after SIGTERM. */
  const PROBE = `
    import { onParentExit } from "./parent.ts";
    process.on("SIGINT", () => console.log("SIGINT"));
    process.on("SIGTERM", () => { console.log("SIGTERM"); process.exit(Number(process.argv[2] ?? 0)); });
    onParentExit(() => { console.log("orphan"); process.exit(0); });
    setInterval(() => undefined, 1000);
    console.log("up", process.pid, process.cwd(), process.execArgv.join(" "));
  `;
  const aClone = (program: string): string => {
    const root = aDirectory({
      "package-lock.json": { packages: {} },
      "node_modules/.package-lock.json": { packages: {} },
      "package.json": { type: "module", scripts: { baton: "node scripts/launch.mjs baton" } },
      "packages/server/src/cli/baton.ts": program,
      "examples/readme.txt": "",
    });
    for (const path of [
      "scripts/launch.mjs",
      "scripts/launch",
      "packages/server/src/cli/parent.ts",
    ]) {
      cpSync(join(REPOSITORY, path), join(root, path), { recursive: true });
    }
    const name = `node-${process.platform}-${process.arch}`;
    symlinkSync(join(REPOSITORY, "node_modules", name), join(root, "node_modules", name));
    return root;
  };
  const start = (
    file: string,
    args: readonly string[],
    cwd: string,
    env: NodeJS.ProcessEnv = {},
  ) => {
    const clean = Object.entries(process.env).filter(([key]) => !/^(npm_|INIT_CWD)/.test(key));
    const child = spawn(file, args, {
      cwd,
      env: { ...Object.fromEntries(clean), ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
  };
  const launch = (root: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) =>
    start(process.execPath, ["scripts/launch.mjs", "baton", ...args], root, env);
  const nextLine = async (lines: AsyncIterator<string>): Promise<string> =>
    String((await lines.next()).value);
  const ended = async (child: ChildProcess): Promise<unknown> => (await once(child, "exit")).at(-2);

  it("runs the TypeScript file with the source condition and ends with its code", async () => {
    const root = aClone("console.log(process.argv.slice(2).join()); process.exit(7);");

    const { child, lines } = launch(root, ["a", "--b"]);
    const exit = ended(child);

    assert.equal(await nextLine(lines), "a,--b");
    assert.equal(await exit, 7);
  });

  it("runs where the user typed the command", async () => {
    const root = aClone("console.log(process.cwd());");

    const { lines } = launch(root, [], { INIT_CWD: join(root, "examples") });

    assert.equal(await nextLine(lines), join(root, "examples"));
  });

  it("ends by the signal that ended its child", async () => {
    const { child } = launch(aClone(`process.kill(process.pid, "SIGKILL");`));

    const [code, signal] = await once(child, "exit");

    assert.deepEqual([code, signal], [null, "SIGKILL"]);
  });

  it("passes SIGTERM on and waits for the child's own end", async () => {
    const { child, lines } = launch(aClone(PROBE), ["5"]);
    assert.match(await nextLine(lines), /^up .*--conditions=source/);
    const exit = ended(child);

    child.kill("SIGTERM");

    assert.equal(await nextLine(lines), "SIGTERM");
    assert.equal(await exit, 5);
  });

  it("leaves SIGINT to the terminal, which sends it to the child too", async () => {
    const { child, lines } = launch(aClone(PROBE));
    assert.match(await nextLine(lines), /^up/);
    const exit = ended(child);

    child.kill("SIGINT");
    child.kill("SIGTERM");

    assert.equal(await nextLine(lines), "SIGTERM");
    assert.equal(await exit, 0);
  });

  it("lets the child know when it was killed with -9", async () => {
    const { child, lines } = launch(aClone(PROBE));
    assert.match(await nextLine(lines), /^up/);

    child.kill("SIGKILL");

    assert.equal(await nextLine(lines), "orphan");
  });

  it("lets a child know that asks only after its parent has gone", async () => {
    const late = `
      import { once } from "node:events";
      import { onParentExit } from "./parent.ts";
      console.log("up");
      const gone = once(process, "disconnect");
      process.channel?.ref();
      await gone;
      onParentExit(() => console.log("orphan"));
    `;
    const { child, lines } = launch(aClone(late));
    assert.equal(await nextLine(lines), "up");

    child.kill("SIGKILL");

    assert.equal(await nextLine(lines), "orphan");
  });

  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    it(`stops the child when npm was ended by ${signal}`, async () => {
      const { child, lines } = start("npm", ["run", "--silent", "baton"], aClone(PROBE));
      assert.match(await nextLine(lines), /^up/);

      child.kill(signal);

      assert.equal(await nextLine(lines), "SIGTERM");
    });
  }

  it("names the commands when it gets one that it does not know", async () => {
    const child = spawn(process.execPath, ["scripts/launch.mjs", "nonsense"], { cwd: REPOSITORY });
    const exit = ended(child);

    const message = String(await once(child.stderr, "data"));

    assert.match(message, /Expected one of dev, baton, .*received "nonsense"/);
    assert.equal(await exit, 1);
  });
});
