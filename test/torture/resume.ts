/** How soon work goes on after a restart. */
import type { JournalEntry } from "./journal.ts";

/** Follows the journals and knows what runs. */
export class RunningWork {
  /** Started and not ended, by fence. */
  readonly #running = new Map<string, JournalEntry>();
  /** All that was read. */
  readonly entries: JournalEntry[] = [];

  add(entries: readonly JournalEntry[]): void {
    for (const entry of entries) {
      this.entries.push(entry);
      const fence = `${entry.jobId}/${entry.attempt}`;
      if (entry.kind === "started") this.#running.set(fence, entry);
      // A fact of a worker is about none of them.
      else this.#running.delete(fence);
    }
  }

  isRunning(entry: JournalEntry): boolean {
    return this.#running.has(`${entry.jobId}/${entry.attempt}`);
  }

  /** What runs on a process, by what it wrote down so far. */
  on(pid: number): JournalEntry[] {
    return [...this.#running.values()].filter((entry) => entry.pid === pid);
  }

  /** Forgets what ran on a process that is dead. @returns it */
  bury(pid: number): JournalEntry[] {
    const dead = this.on(pid);
    for (const entry of dead) this.#running.delete(`${entry.jobId}/${entry.attempt}`);
    return dead;
  }
}

/**
 * The instant of each job's next start after an attempt was lost with its process.
 *
 * @param lost what ran on killed processes
 * @param since index of the first entry that can be such a start
 */
export function restartsOf(
  lost: readonly JournalEntry[],
  entries: readonly JournalEntry[],
  since: number,
): ReadonlyMap<string, number> {
  const attempts = new Map(lost.map((entry) => [entry.jobId, entry.attempt]));
  const restarts = new Map<string, number>();
  for (const entry of entries.slice(since)) {
    const attempt = attempts.get(entry.jobId);
    if (entry.kind !== "started" || attempt === undefined || entry.attempt <= attempt) continue;
    if (!restarts.has(entry.jobId)) restarts.set(entry.jobId, entry.atMs);
  }
  return restarts;
}
