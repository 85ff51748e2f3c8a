/**
 * `npm run demo`: a server and a worker on throw-away data, real work of every kind, shown live. Exits 0 only if all of
 * it came out as it should.
 */
import { openLifetime } from "../packages/server/src/cli/lifetime.ts";
import { ACTS } from "./demo/acts.ts";
import { play, type ActResult } from "./demo/play.ts";
import { resultText } from "./demo/result-table.ts";
import { openScreen, type Screen } from "./demo/screen.ts";
import { startSystem, type System } from "./demo/system.ts";

const EXIT_INTERRUPTED = 130;

const lifetime = openLifetime(() => process.exit(EXIT_INTERRUPTED));
process.exitCode = await demo().catch((error: unknown) => {
  if (lifetime.stopping.aborted) return EXIT_INTERRUPTED;
  process.stderr.write(
    `\nThe demo cannot run: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  return 1;
});
lifetime.release();

async function demo(): Promise<number> {
  const screen = openScreen();
  const system = await startSystem(screen, lifetime.stopping);
  const results = await playAndStop(system, screen);
  process.stdout.write(resultText(results));
  return results.every(({ isGood }) => isGood) ? 0 : 1;
}

async function playAndStop(system: System, screen: Screen): Promise<readonly ActResult[]> {
  try {
    return await play(ACTS, system, screen, lifetime.stopping);
  } finally {
    screen.end();
    await system.stop();
  }
}
