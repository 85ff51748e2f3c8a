import type { JournalEntry } from "./journal.ts";

/**
 * A worker's lease may be over when it was out of contact for so long less than its lease: it was heard of for the last
 * time a heartbeat (a quarter of the lease) before, and its server may have renewed its own lease a second before that.
 */
const CONTACT_SLACK_MS = 3_000;

/** Instants at which a worker's lease was over, or may have been. */
export function unsafeInstants(
  journal: readonly JournalEntry[],
  leaseMs: number,
): readonly { readonly pid: number; readonly atMs: number }[] {
  const lost = journal.filter((entry) => entry.kind === "lease_lost");
  const long = gapsOf(journal).filter((gap) => !isWithinLease(gap, leaseMs));
  return [...lost, ...long.map(({ pid, toMs }) => ({ pid, atMs: toMs }))];
}

/** Whether the lease must have lasted over the gap. */
function isWithinLease(gap: Gap, leaseMs: number): boolean {
  return gap.toMs - gap.fromMs < leaseMs - CONTACT_SLACK_MS;
}

/** Whether a worker lost contact after an instant, and had it again before its lease was over. */
export function wasBackInTime(
  journal: readonly JournalEntry[],
  pid: number,
  sinceMs: number,
  leaseMs: number,
): boolean {
  const gap = gapsOf(journal).find(
    (candidate) => candidate.pid === pid && candidate.toMs > sinceMs,
  );
  if (gap === undefined || gap.toMs - gap.fromMs >= leaseMs) return false;
  return !journal.some(
    (entry) =>
      entry.kind === "lease_lost" &&
      entry.pid === pid &&
      entry.atMs >= gap.fromMs &&
      entry.atMs <= gap.toMs,
  );
}

/** Times during which a worker was out of contact. */
export interface Gap {
  readonly pid: number;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Of each worker, from its first failure in a row to its next connection. */
function gapsOf(journal: readonly JournalEntry[]): readonly Gap[] {
  const since = new Map<number, number>();
  return journal.flatMap((entry): Gap[] => {
    const fromMs = since.get(entry.pid);
    if (entry.kind === "disconnected" && fromMs === undefined) since.set(entry.pid, entry.atMs);
    if (entry.kind !== "connected" || fromMs === undefined) return [];
    since.delete(entry.pid);
    return [{ pid: entry.pid, fromMs, toMs: entry.atMs }];
  });
}
