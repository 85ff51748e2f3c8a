/** The processes of the demo: a server on throw-away data, a worker, and a page to scrape. All listen on loopback. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const BATON = join(ROOT, "packages/server/src/cli/baton.ts");
const DATA = join(ROOT, "examples/data");

export interface Running extends AsyncDisposable {
  readonly address: string;
}

/** Starts `baton server` with its embedded PostgreSQL. Stopping it removes its data. */
export async function startServer(): Promise<Running> {
  // Made by the server itself, so that the account that PostgreSQL runs as can reach it.
  const directory = join(tmpdir(), `baton-demo-${process.pid}`);
  const child = startBaton(["server"], {
    BATON_DATA_DIRECTORY: directory,
    BATON_HTTP_PORT: "0",
    BATON_GRPC_PORT: "0",
    DATABASE_URL: "",
  });
  const { grpcPort } = await ready(child);
  return {
    address: `127.0.0.1:${grpcPort}`,
    [Symbol.asyncDispose]: async () => {
      await stop(child);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Starts `baton worker` with the built-in tasks for the demo's two queues. */
export async function startWorker(address: string): Promise<AsyncDisposable> {
  const child = startBaton(
    [
      "worker",
      "--address",
      address,
      "--queues",
      "default,bulk",
      "--slots",
      "50",
      "--prefetch",
      "200",
    ],
    { BATON_TASKS_FILES_DIRECTORY: DATA, BATON_TASKS_ALLOWED_ADDRESSES: "127.0.0.0/8" },
  );
  await ready(child);
  return { [Symbol.asyncDispose]: () => stop(child) };
}

/** Serves examples/data/page.html. */
export async function startSite(): Promise<Running> {
  const site = createServer((request, response) => {
    if (request.url !== "/page.html") {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
    createReadStream(join(DATA, "page.html")).pipe(response);
  });
  site.listen(0, "127.0.0.1");
  await once(site, "listening");
  const address = site.address();
  if (address === null || typeof address === "string")
    throw new Error("the site listens on no port");
  return {
    address: `http://127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: async () => {
      site.closeAllConnections();
      site.close();
      await once(site, "close");
    },
  };
}

function startBaton(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): ChildProcess {
  return fork(BATON, args, {
    execArgv: ["--conditions=source"],
    env: { ...process.env, BATON_LOG_LEVEL: "warn", ...environment },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    // Ctrl-C reaches the demo, which stops its processes in order.
    detached: true,
  });
}

/** What a Baton process says to who forked it, when it serves. */
async function ready(child: ChildProcess): Promise<{ readonly grpcPort: number }> {
  const exited = once(child, "exit").then(() => {
    throw new Error("a process of the demo ended before it was ready");
  });
  const [message]: unknown[] = await Promise.race([once(child, "message"), exited]);
  const grpcPort =
    typeof message === "object" && message !== null && "grpcPort" in message ? message.grpcPort : 0;
  return { grpcPort: Number(grpcPort) };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await exited;
}
