import { setTimeout as sleep } from "node:timers/promises";

/**
 * Looks again and again until there is something to see.
 *
 * @param look returns undefined while it is not there yet; may fail meanwhile only where the caller allows it
 * @throws Error that names `what` after `deadlineMs`
 */
export async function until<Seen>(
  what: string,
  deadlineMs: number,
  look: () => Promise<Seen | undefined> | Seen | undefined,
): Promise<Seen> {
  const startMs = performance.now();
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (performance.now() - startMs > deadlineMs) {
      throw new Error(`expected ${what} within ${deadlineMs} ms; it did not come`);
    }
    await sleep(POLL_MS);
  }
}

const POLL_MS = 25;

/** Waits for a promise, but not for ever. @throws Error that names `what` after `deadlineMs` */
export async function within<Value>(
  deadlineMs: number,
  what: string,
  promise: Promise<Value>,
): Promise<Value> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`expected ${what} within ${deadlineMs} ms; it did not come`)),
    deadlineMs,
  );
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
