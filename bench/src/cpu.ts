/** CPU time and memory of processes, from Linux's /proc. Elsewhere everything is 0. */
import { readdir, readFile } from "node:fs/promises";

import type { Stage } from "./parties.ts";

/** Clock ticks a second of Linux on all common machines. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4_096;

/** CPU seconds by what used them. A system without a server of its own has no `server`. */
export type CpuSeconds = Readonly<Record<string, number>>;

type Watched = Pick<Stage, "site"> & Partial<Pick<Stage, "load" | "crew">>;

/** CPU time that the processes of a stage have used so far. */
export async function cpuUsed({ site, load, crew }: Watched): Promise<CpuSeconds> {
  return {
    ...(load && { load: await cpuSeconds(load.pid) }),
    ...(site.pids.server !== undefined && { server: await cpuSeconds(site.pids.server) }),
    ...(crew && { worker: await cpuSeconds(crew.program.pid) }),
    database: await familyCpuSeconds(site.pids.database),
  };
}

/** CPU time that they have used since then. */
export async function cpuSince(watched: Watched, before: CpuSeconds): Promise<CpuSeconds> {
  const now = await cpuUsed(watched);
  return Object.fromEntries(
    Object.entries(now).map(([name, seconds]) => [name, seconds - (before[name] ?? 0)]),
  );
}

/** Clock ticks of all cores since the machine started. */
export interface MachineTime {
  /** In which work was waiting, and the host ran other machines. */
  readonly stolenTicks: number;
  readonly totalTicks: number;
}

/** @see proc_stat(5) */
export async function machineTime(): Promise<MachineTime> {
  const text = await readFile("/proc/stat", "utf8").catch(() => "");
  // "cpu  user nice system idle iowait irq softirq steal guest guest_nice"; user and nice contain the guests.
  const ticks = (/^cpu +(.*)$/m.exec(text)?.[1] ?? "").split(" ").slice(0, 8).map(Number);
  return { stolenTicks: ticks[7] ?? 0, totalTicks: ticks.reduce((sum, part) => sum + part, 0) };
}

/** Of the machine's time since then, what its host gave to other machines though work was waiting: 0 to 1. */
export async function stolenSince(before: MachineTime): Promise<number> {
  const now = await machineTime();
  const totalTicks = now.totalTicks - before.totalTicks;
  return totalTicks > 0 ? (now.stolenTicks - before.stolenTicks) / totalTicks : 0;
}

/** CPU time of one process, in seconds. */
export async function cpuSeconds(pid: number): Promise<number> {
  return ((await readStat(pid))?.ticks ?? 0) / TICKS_PER_SECOND;
}

/** Resident memory of one process, in MiB. */
export async function memoryMib(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/statm`, "utf8").catch(() => "");
  return (Number(text.split(" ")[1] ?? 0) * PAGE_BYTES) / 2 ** 20;
}

/** CPU time of a process and its children, those that ended included: PostgreSQL's sessions come and go. */
async function familyCpuSeconds(pid: number): Promise<number> {
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(pids.map((name) => readStat(Number(name))));
  const family = stats.filter((stat) => stat?.pid === pid || stat?.parentPid === pid);
  const ended = family.find((stat) => stat?.pid === pid)?.childTicks ?? 0;
  return family.reduce((sum, stat) => sum + (stat?.ticks ?? 0), ended) / TICKS_PER_SECOND;
}

interface Stat {
  readonly pid: number;
  readonly parentPid: number;
  readonly ticks: number;
  readonly childTicks: number;
}

/** @see proc_pid_stat(5) */
async function readStat(pid: number): Promise<Stat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // "pid (name) state …": the name may contain spaces and brackets.
  const rest = /^\d+ \(.*\) (.*)$/s.exec(text?.trim() ?? "")?.[1];
  if (rest === undefined) return undefined;
  const fields = rest.split(" ").map(Number);
  const at = (field: number): number => fields[field - 3] ?? 0;
  return { pid, parentPid: at(4), ticks: at(14) + at(15), childTicks: at(16) + at(17) };
}
