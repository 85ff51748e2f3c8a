/** `npm run bench`: runs the benchmarks and prints figures with their spread. */
import { writeFile } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";

import { runNoop, type NoopRound } from "./noop.ts";

const { values } = parseArgs({
  options: {
    jobs: { type: "string", default: "100000" },
    rounds: { type: "string", default: "5" },
    quick: { type: "boolean", default: false },
    json: { type: "string" },
  },
});

const jobs = values.quick ? 20_000 : positive("jobs", values.jobs);
const rounds = values.quick ? 2 : positive("rounds", values.rounds);
const machine = {
  cpus: `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}`,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  node: process.version,
  durability: "fsync on, synchronous_commit on",
};
console.log(
  `${machine.cpus}, ${machine.memoryGiB} GiB, Node ${machine.node}, ${machine.durability}`,
);
console.log(
  `${jobs} no-op jobs a round, ${rounds} rounds; load, server, worker and PostgreSQL share the machine`,
);

const results = await runNoop({ jobs, rounds }, (round) => console.log(line(round)));
console.log("");
for (const scenario of ["end_to_end", "burn_down"] as const) {
  const figures = results
    .filter((round) => round.scenario === scenario)
    .map((round) => round.jobsPerSecond)
    .sort((a, b) => a - b);
  const median = figures[figures.length >> 1] ?? 0;
  console.log(
    `${scenario}: median ${median} jobs/s (${figures[0] ?? 0} to ${figures.at(-1) ?? 0})`,
  );
}
if (values.json !== undefined) {
  await writeFile(values.json, `${JSON.stringify({ machine, jobs, rounds: results }, null, 2)}\n`);
}

function line({ scenario, jobsPerSecond, cpuUsPerJob }: NoopRound): string {
  const { server, worker, postgres } = cpuUsPerJob;
  return `${scenario.padEnd(10)} ${jobsPerSecond} jobs/s; CPU µs/job: server ${server}, worker ${worker}, PostgreSQL ${postgres}`;
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  console.error(`--${name} must be a whole number above 0; received ${JSON.stringify(text)}`);
  process.exit(2);
}
