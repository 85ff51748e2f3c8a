/**
 * A Baton server as `baton server` runs it, for tests that kill it. Settings come from the environment; sends a
 * `ServerReady`; stops on SIGTERM and when the test's process is gone.
 */
import pino from "pino";

import { onParentExit } from "../packages/server/src/cli/parent.ts";
import { readConfig } from "../packages/server/src/config.ts";
import { startServer } from "../packages/server/src/main.ts";
import type { ServerReady } from "./server-process.ts";

const config = readConfig(process.env);
const logger = pino({ level: config.logLevel }, pino.destination({ dest: 2, sync: true }));
const server = await startServer({ config, logger });

let stopping: Promise<void> | undefined;
function stop(): void {
  stopping ??= server.stop().then(() => process.exit(0));
}
process.on("SIGTERM", stop);
onParentExit(stop);
void server.failed.then((error) => {
  logger.fatal({ err: error }, "the server cannot go on");
  process.exit(1);
});

const ready: ServerReady = { httpPort: server.httpPort, grpcPort: server.grpcPort };
process.send?.(ready);
