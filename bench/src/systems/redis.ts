/** Debian's Redis on a free port of loopback. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { Redis } from "ioredis";

import { freePort } from "../free-port.ts";

/** When Redis waits for the disk: once a second, or for each command. */
export type AppendFsync = "everysec" | "always";

export interface RedisServer extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
}

const run = promisify(execFile);
const START_MS_MAX = 10_000;

/**
 * Version of `redis-server`, which is installed first when there is none, this is root and apt-get works.
 *
 * @returns `undefined` when there is none and none can be had
 */
export async function redisVersion(onLog: (line: string) => void): Promise<string | undefined> {
  const found = await installedVersion();
  if (found !== undefined || process.getuid?.() !== 0) return found;
  onLog("There is no redis-server; installing Debian's.");
  const options = { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" }, timeout: 120_000 };
  try {
    await run("apt-get", ["update", "-qq"], options);
    // A server of the system's own, which the package would start, would take part of the machine.
    await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "redis-server"], {
      ...options,
      env: { ...options.env, RUNLEVEL: "1" },
    });
  } catch (error) {
    onLog(`apt-get failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  return installedVersion();
}

async function installedVersion(): Promise<string | undefined> {
  const output = await run("redis-server", ["--version"]).catch(() => undefined);
  return /v=([\d.]+)/.exec(output?.stdout ?? "")?.[1];
}

/** Starts Redis with an append-only file and without snapshots. Disposing of it removes the directory. */
export async function startRedis(
  directory: string,
  appendFsync: AppendFsync,
): Promise<RedisServer> {
  const port = await freePort();
  const child = spawn(
    "redis-server",
    [
      ...["--bind", "127.0.0.1", "--port", String(port), "--dir", directory],
      ...["--appendonly", "yes", "--appendfsync", appendFsync, "--save", ""],
      // BullMQ demands it.
      ...["--maxmemory-policy", "noeviction", "--daemonize", "no"],
    ],
    { stdio: "ignore" },
  );
  await once(child, "spawn");
  const killAtExit = (): void => void child.kill("SIGKILL");
  process.once("exit", killAtExit);
  const url = `redis://127.0.0.1:${port}`;
  const exited = once(child, "exit");
  const stop = async (): Promise<void> => {
    // What is in it is thrown away, so it need not end in order.
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await exited;
    process.off("exit", killAtExit);
    await rm(directory, { recursive: true, force: true });
  };
  if (!(await untilAnswering(url))) {
    await stop();
    throw new Error(`redis-server does not answer on ${url}`);
  }
  return { url, pid: child.pid ?? 0, [Symbol.asyncDispose]: stop };
}

async function untilAnswering(url: string): Promise<boolean> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  redis.on("error", () => undefined);
  const deadline = performance.now() + START_MS_MAX;
  try {
    while (performance.now() < deadline) {
      const isThere = await redis.connect().then(
        () => true,
        () => false,
      );
      if (isThere) return true;
      await sleep(20);
    }
    return false;
  } finally {
    redis.disconnect();
  }
}
