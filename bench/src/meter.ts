/** What a stretch of work cost: time, everybody's CPU, and how much of the machine the host gave to others meanwhile. */
import { cpuSince, cpuUsed, machineTime, stolenSince, type CpuSeconds } from "./cpu.ts";
import type { Stage } from "./parties.ts";
import { CPU_TIME, THROUGHPUT, type Turn } from "./scenario.ts";

/** How fast jobs ran, and at what cost: the second depends less on what else the host does. */
export interface Speed {
  readonly jobsPerSecond: number;
  /** Microseconds of CPU a job, by what used them. */
  readonly cpuUs: CpuSeconds;
  /** Of the machine's time, 0 to 1. */
  readonly stolenShare: number;
}

/** Begins to measure. @returns what ends it, told how many jobs ran */
export async function startMeter(stage: Stage): Promise<(jobs: number) => Promise<Speed>> {
  const [cpuBefore, machineBefore] = await Promise.all([cpuUsed(stage), machineTime()]);
  const startMs = performance.now();
  return async (jobs) => {
    const seconds = (performance.now() - startMs) / 1_000;
    const cpu = await cpuSince(stage, cpuBefore);
    return {
      jobsPerSecond: jobs / seconds,
      cpuUs: Object.fromEntries(
        Object.entries(cpu).map(([name, used]) => [name, (used * 1e6) / jobs]),
      ),
      stolenShare: await stolenSince(machineBefore),
    };
  };
}

/** @param row what was measured, where that is not simply the system */
export function recordSpeed(turn: Turn, { jobsPerSecond, cpuUs }: Speed, row?: string): void {
  turn.record(THROUGHPUT, jobsPerSecond, row);
  const total = Object.values(cpuUs).reduce((sum, part) => sum + part, 0);
  // Only Linux tells.
  if (total > 0) turn.record(CPU_TIME, total, row);
}

/** One line for who waits. */
export function shownSpeed({ jobsPerSecond, cpuUs, stolenShare }: Speed): string {
  const parts = Object.entries(cpuUs).map(([name, us]) => `${name} ${Math.round(us)}`);
  const stolen = `${Math.round(stolenShare * 100)} % of the machine stolen`;
  return `${Math.round(jobsPerSecond)} jobs/s; CPU µs a job: ${parts.join(", ")}; ${stolen}`;
}
