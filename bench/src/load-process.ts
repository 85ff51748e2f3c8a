/**
 * A load generator: `load-process.ts <system or door> <target>`. Commands:
 *
 * - bulk {jobs, jobsPerCall, callsAtOnce, bytes, lanes}: submits jobs in calls of many.
 * - singles {jobs, concurrency}: submits jobs one by one, so many calls at a time.
 * - pace {perSecond, seconds}: submits at a steady rate, whatever the answers do.
 * - flood {jobsPerCall, callsAtOnce, backlog} until `calm`: keeps so many jobs unfinished; `ran {count}` tells it of progress.
 */
import { setImmediate, setTimeout as sleep } from "node:timers/promises";

import { nowUs } from "./clock.ts";
import { endWithParent, serve, type Lists, type Numbers } from "./messages.ts";
import { systemOf } from "./systems/all.ts";
import { openDoor } from "./systems/baton-doors.ts";
import type { JobInput } from "./systems/system.ts";

endWithParent();
const [name = "", target = ""] = process.argv.slice(2);
const client = openDoor(name, target) ?? (await systemOf(name).openClient(target));

const flood = { isOn: false, ranCount: 0, ended: Promise.resolve() };

serve(async (command, numbers): Promise<Lists> => {
  switch (command) {
    case "bulk":
      return timed(() => bulk(numbers));
    case "singles":
      return timed(() => singles(numbers));
    case "pace":
      return pace(numbers);
    case "flood":
      flood.isOn = true;
      flood.ranCount = 0;
      flood.ended = runFlood(numbers);
      flood.ended.catch(() => undefined);
      return new Map();
    case "ran":
      flood.ranCount = numbers["count"] ?? 0;
      return new Map();
    case "calm":
      flood.isOn = false;
      await flood.ended;
      return new Map();
    case "stop":
      await client.close();
      process.exit(0);
  }
  throw new Error(`There is no command ${command}.`);
});
process.send?.({ ready: true });

async function timed(work: () => Promise<void>): Promise<Lists> {
  const startUs = nowUs();
  await work();
  return new Map([["seconds", Float64Array.of((nowUs() - startUs) / 1e6)]]);
}

async function bulk(numbers: Numbers): Promise<void> {
  const { jobs = 0, jobsPerCall = 1, callsAtOnce = 1, bytes = 0, lanes = 0 } = numbers;
  const pad = bytes === 0 ? undefined : "x".repeat(bytes);
  let next = 0;
  await atOnce(callsAtOnce, async () => {
    while (next < jobs) {
      const first = next;
      next = Math.min(jobs, first + jobsPerCall);
      await client.submitMany(
        Array.from({ length: next - first }, (_, index): JobInput => {
          if (lanes > 0) return { lane: (first + index) % lanes };
          return pad === undefined ? {} : { pad };
        }),
      );
    }
  });
}

async function singles({ jobs = 0, concurrency = 1 }: Numbers): Promise<void> {
  let next = 0;
  await atOnce(concurrency, async () => {
    while (next < jobs) {
      next += 1;
      await client.submit({});
    }
  });
}

/**
 * Open loop: job n is due at start + n / rate, and latencies count from there, so a system that falls behind shows it.
 * Jobs that are due at the same moment go in one call, as a program with several at hand would do.
 */
async function pace({ perSecond = 1, seconds = 1 }: Numbers): Promise<Lists> {
  const jobs = Math.floor(perSecond * seconds);
  const intendedUs = new Float64Array(jobs);
  const acceptedUs = new Float64Array(jobs);
  const calls: Promise<void>[] = [];
  const startUs = nowUs();
  for (let next = 0; next < jobs;) {
    const due = Math.min(jobs, Math.floor(((nowUs() - startUs) * perSecond) / 1e6) + 1);
    if (due > next) {
      const first = next;
      next = due;
      for (let n = first; n < due; n += 1) intendedUs[n] = startUs + (n * 1e6) / perSecond;
      const inputs = Array.from({ length: due - first }, (_, index): JobInput => ({
        n: first + index,
      }));
      const [only] = inputs;
      const call =
        inputs.length === 1 && only !== undefined ? client.submit(only) : client.submitMany(inputs);
      calls.push(call.then(() => void acceptedUs.fill(nowUs(), first, due)));
    }
    // A timer is late by up to a millisecond; a loop without one would take a core.
    await (perSecond >= 1_000 ? sleep(1) : sleep(2));
  }
  await Promise.all(calls);
  return new Map([
    ["intendedUs", intendedUs],
    ["acceptedUs", acceptedUs],
  ]);
}

async function runFlood(numbers: Numbers): Promise<void> {
  const { jobsPerCall = 1, callsAtOnce = 1, backlog = 1 } = numbers;
  let submitted = 0;
  await atOnce(callsAtOnce, async () => {
    while (flood.isOn) {
      if (submitted - flood.ranCount >= backlog) {
        await sleep(1);
        continue;
      }
      submitted += jobsPerCall;
      await client.submitMany(Array.from({ length: jobsPerCall }, (): JobInput => ({})));
      await setImmediate();
    }
  });
}

async function atOnce(count: number, run: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: count }, run));
}
