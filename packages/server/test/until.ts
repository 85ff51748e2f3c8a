import { setImmediate as nextTurn } from "node:timers/promises";

/** Far above what any wait of a test takes on a busy machine. */
const WAIT_MS_MAX = 60_000;

/** Waits, turn by turn of the event loop, for something that is under way. Throws when it never comes. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const startMs = performance.now();
  for (;;) {
    const seen = isSo();
    // What is so now may not be so a turn later.
    if (typeof seen === "boolean" ? seen : await seen) return;
    if (performance.now() - startMs > WAIT_MS_MAX)
      throw new Error(`not so after ${WAIT_MS_MAX} ms: ${isSo.toString()}`);
    await nextTurn();
  }
}
