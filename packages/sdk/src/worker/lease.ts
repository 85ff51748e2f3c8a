/**
 * How long this worker may believe that its jobs are its own: from the moment it sent the last heartbeat that was
 * answered, for the lease that the answer named. The server counts from when that heartbeat arrived, which is later, so
 * the worker always stops first. Only the worker's monotonic clock is asked; the two clocks are never compared.
 */
export class Lease {
  #expiresAt = Number.NEGATIVE_INFINITY;

  /** @param sentAt when the answered message was handed to the connection */
  renew(sentAt: number, leaseMs: number): void {
    this.#expiresAt = Math.max(this.#expiresAt, sentAt + leaseMs);
  }

  isOver(now: number): boolean {
    return now >= this.#expiresAt;
  }

  /** Milliseconds left, 0 when it is over. */
  remainingMs(now: number): number {
    return Math.max(0, this.#expiresAt - now);
  }
}
