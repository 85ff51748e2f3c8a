/** `npm run bench`: measures Baton and its peers in turn, and prints tables. */
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";

import { onParentExit } from "../../packages/server/src/cli/parent.ts";
import { parseArguments, settingsRecord } from "./arguments.ts";
import { barLines } from "./bars.ts";
import { machineTime, stolenSince } from "./cpu.ts";
import { figureTables } from "./figures.ts";
import { openHouse } from "./house.ts";
import { runScenarios } from "./run-scenarios.ts";
import { SCENARIOS } from "./scenarios/all.ts";
import { SYSTEMS } from "./systems/all.ts";
import { redisVersion } from "./systems/redis.ts";
import { surroundings, surroundingsText } from "./versions.ts";

const EXIT_INTERRUPTED = 130;

const settings = parseArguments(process.argv.slice(2));

if (settings.isList) {
  for (const { name, summary, quickSystems } of SCENARIOS) {
    console.log(`${name.padEnd(18)}${summary}${quickSystems === undefined ? "" : " (quick too)"}`);
  }
} else {
  await bench();
}

async function bench(): Promise<void> {
  const say = (line: string): void => console.error(line);
  await using house = await openHouse({
    // Alone, because it slows everybody a little.
    hasStatements: settings.scenarios.every(({ name }) => name === "profile"),
  });
  let isInterrupted = false;
  const interrupt = (): void => {
    // Terminals and `timeout` signal the whole group, so that the same wish comes more than once.
    if (isInterrupted) return;
    isInterrupted = true;
    say("Interrupted.");
    // The other processes end with this one; PostgreSQL would not.
    const isOver = (): void => process.exit(EXIT_INTERRUPTED);
    house[Symbol.asyncDispose]().then(isOver, isOver);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, interrupt);
  onParentExit(interrupt);
  const redis = await redisVersion(say);
  if (redis === undefined) say("SKIPPED: BullMQ on Redis, because there is no redis-server.");
  const systems = SYSTEMS.filter(
    (system) => redis !== undefined || !system.name.startsWith("bullmq-redis"),
  );
  const about = await surroundings(house, systems, redis);
  say(surroundingsText(about));

  const before = await machineTime();
  const samples = await runScenarios({ house, systems, settings, say });
  const stolenShare = await stolenSince(before);

  console.log(`\n${figureTables(samples)}\n`);
  if (settings.isQuick)
    console.log("A quick run proves that things work; its figures are no measurements.");
  for (const line of barLines(samples)) console.log(line);
  console.log(`\n${surroundingsText(about)}`);
  console.log(
    `The host gave ${Math.round(stolenShare * 100)} % of the machine's time to others meanwhile. Above a few per cent figures say little.`,
  );
  if (settings.jsonFile !== undefined) {
    const file = resolve(process.env["INIT_CWD"] ?? ".", settings.jsonFile);
    await writeFile(
      file,
      `${JSON.stringify({ about, settings: settingsRecord(settings), stolenShare, samples }, null, 2)}\n`,
    );
  }
}
