/**
 * `npm run demo`: real work of every built-in kind against a throw-away database, live, then a table of what happened.
 * Exits with 0 only if all of it came out as it should.
 */
import { createClient } from "@baton/sdk";

import { tableText } from "../packages/server/src/cli/table.ts";
import { paint } from "../packages/server/src/cli/terminal.ts";
import { ACTS, type Act, type ActResult } from "./demo/acts.ts";
import { startServer, startSite, startWorker } from "./demo/processes.ts";
import { openScreen } from "./demo/screen.ts";

interface Played extends ActResult {
  readonly act: Act;
  readonly tookMs: number;
}

const interrupted = new Promise<never>((_resolve, reject) => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => reject(new Error(`stopped by ${signal}`)));
  }
});

try {
  const played = await Promise.race([playAll(), interrupted]);
  console.log("");
  console.log(
    tableText<Played>(
      [
        { head: "WHAT", cell: ({ act }) => act.what },
        { head: "EXPECTED", cell: ({ act }) => act.expected },
        { head: "CAME OUT", cell: ({ cameOut }) => cameOut },
        { head: "TOOK", cell: ({ tookMs }) => `${(tookMs / 1_000).toFixed(1)} s`, align: "right" },
        {
          head: "",
          cell: ({ isAsExpected }) => (isAsExpected ? "✔" : "✖"),
          style: ({ isAsExpected }) => (isAsExpected ? "green" : "red"),
        },
      ],
      played,
    ),
  );
  const failed = played.filter(({ isAsExpected }) => !isAsExpected);
  console.log("");
  console.log(
    failed.length === 0
      ? paint("green", `All ${played.length} came out as they should.`)
      : paint("red", `${failed.length} of ${played.length} did not come out as they should.`),
  );
  process.exitCode = failed.length === 0 ? 0 : 1;
} catch (error) {
  console.error(
    `The demo could not finish: ${error instanceof Error ? error.message : String(error)}`,
  );
  process.exitCode = 1;
}

/** Starts everything, plays the acts one after another, and stops everything. */
async function playAll(): Promise<readonly Played[]> {
  const screen = openScreen([
    "PostgreSQL and the server",
    "a worker",
    ...ACTS.map(({ what }) => what),
  ]);
  try {
    screen.begin(0);
    await using running = new AsyncDisposableStack();
    const server = running.use(await startServer());
    screen.end(0, "ready", true);
    screen.begin(1);
    const site = running.use(await startSite());
    running.use(await startWorker(server.address));
    screen.end(1, "ready", true);
    const client = createClient({ address: server.address });
    try {
      const played: Played[] = [];
      for (const [index, act] of ACTS.entries()) {
        const row = index + 2;
        screen.begin(row);
        const startMs = performance.now();
        const result = await act
          .play({ client, site: site.address, onProgress: (share) => screen.progress(row, share) })
          .catch((error: unknown) => ({
            cameOut: error instanceof Error ? error.message : String(error),
            isAsExpected: false,
          }));
        screen.end(row, result.cameOut, result.isAsExpected);
        played.push({ act, tookMs: performance.now() - startMs, ...result });
      }
      return played;
    } finally {
      client.close();
    }
  } finally {
    screen.close();
  }
}
