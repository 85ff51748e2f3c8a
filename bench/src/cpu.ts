import { readdir, readFile } from "node:fs/promises";

/** Clock ticks a second of Linux on all common machines. */
const TICKS_PER_SECOND = 100;

/**
 * CPU time that a process and its children by name have used so far, in seconds. Linux only; elsewhere 0.
 *
 * @param pid the process itself
 */
export async function cpuSeconds(pid: number): Promise<number> {
  return ticksOf(await readStat(pid)) / TICKS_PER_SECOND;
}

/** CPU time of all PostgreSQL processes that a server has started, those that ended included, in seconds. */
export async function postgresCpuSeconds(serverPid: number): Promise<number> {
  const stats = await Promise.all(
    (await readdir("/proc"))
      .filter((name) => /^\d+$/.test(name))
      .map((name) => readStat(Number(name))),
  );
  const postmaster = stats.find(
    (stat) => stat?.parentPid === serverPid && stat.name === "postgres",
  );
  if (postmaster === undefined) return 0;
  const backends = stats.filter((stat) => stat?.parentPid === postmaster.pid);
  const ticks = [postmaster, ...backends].reduce((sum, stat) => sum + ticksOf(stat), 0);
  return (ticks + postmaster.childTicks) / TICKS_PER_SECOND;
}

interface Stat {
  readonly pid: number;
  readonly name: string;
  readonly parentPid: number;
  readonly ticks: number;
  readonly childTicks: number;
}

/** @see proc_pid_stat(5) */
async function readStat(pid: number): Promise<Stat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  const match = text === undefined ? null : /^\d+ \((.*)\) (.*)$/s.exec(text.trim());
  const [, name, rest] = match ?? [];
  if (name === undefined || rest === undefined) return undefined;
  const fields = rest.split(" ").map(Number);
  const at = (field: number): number => fields[field - 3] ?? 0;
  return { pid, name, parentPid: at(4), ticks: at(14) + at(15), childTicks: at(16) + at(17) };
}

function ticksOf(stat: Stat | undefined): number {
  return stat?.ticks ?? 0;
}
