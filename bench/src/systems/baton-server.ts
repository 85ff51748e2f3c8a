import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../../../packages/server/src/cli/baton.ts", import.meta.url));

export interface BatonServer extends AsyncDisposable {
  /** `host:port` of gRPC. */
  readonly address: string;
  /** `http://host:port` */
  readonly origin: string;
  readonly pid: number;
}

/**
 * Starts `baton server` on free ports, and waits until it serves. It ends when this process is gone.
 *
 * @param environment settings beside the ports
 */
export async function startServer(
  environment: Readonly<Record<string, string>>,
): Promise<BatonServer> {
  const child = fork(CLI, ["server"], {
    execArgv: ["--conditions=source"],
    env: {
      ...process.env,
      DATABASE_URL: "",
      BATON_HTTP_PORT: "0",
      BATON_GRPC_PORT: "0",
      BATON_LOG_LEVEL: "warn",
      ...environment,
    },
    // The table stands on stdout; the server's log does not belong there.
    stdio: ["ignore", 2, 2, "ipc"],
  });
  const exited = once(child, "exit").then(() => {
    throw new Error("baton server ended; its log above says why");
  });
  exited.catch(() => undefined);
  const said: unknown[] = await Promise.race([once(child, "message"), exited]);
  const { httpPort, grpcPort } = portsOf(said[0]);
  return {
    address: `127.0.0.1:${grpcPort}`,
    origin: `http://127.0.0.1:${httpPort}`,
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      await exited.catch(() => undefined);
    },
  };
}

function portsOf(message: unknown): { readonly httpPort: number; readonly grpcPort: number } {
  if (
    typeof message === "object" &&
    message !== null &&
    "httpPort" in message &&
    "grpcPort" in message
  ) {
    return { httpPort: Number(message.httpPort), grpcPort: Number(message.grpcPort) };
  }
  throw new Error(`Expected the ports of baton server; received ${JSON.stringify(message)}.`);
}
