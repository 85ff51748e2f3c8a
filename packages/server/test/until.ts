import { setImmediate as nextTurn } from "node:timers/promises";

/** Waits, turn by turn of the event loop, for something that is under way. The test's own time bounds it. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await nextTurn();
}
