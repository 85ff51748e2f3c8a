/**
 * How often a worker must be heard of. One that holds jobs beats several times in a lease. One that holds nothing has
 * nothing to lose with its lease, and need only show that it is still there.
 */
import {
  HEARTBEATS_PER_LEASE,
  IDLE_HEARTBEAT_MS_MAX,
  LEASES_PER_IDLE_HEARTBEAT,
} from "./limits.ts";

/** Milliseconds between two heartbeats of a worker that holds jobs. */
export function heartbeatIntervalMs(leaseMs: number): number {
  return Math.floor(leaseMs / HEARTBEATS_PER_LEASE);
}

/** Milliseconds between two heartbeats of a worker that holds nothing; never less than with jobs. */
export function idleHeartbeatIntervalMs(leaseMs: number): number {
  const intervalMs = Math.min(leaseMs * LEASES_PER_IDLE_HEARTBEAT, IDLE_HEARTBEAT_MS_MAX);
  return Math.max(intervalMs, heartbeatIntervalMs(leaseMs));
}

/** A worker that holds nothing counts as lost after so long without a word: a lease after its heartbeat was due. */
export function idleSilenceMsMax(leaseMs: number): number {
  return idleHeartbeatIntervalMs(leaseMs) + leaseMs;
}
