/** Bounds what V8 adds to a server's memory for its own convenience. */
import { PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";

/**
 * From this capacity on the young generation does not grow; each of its two halves has as much. What it reached before the
 * event loop turned for the first time stays: 32 MiB at times, when a server is busy from its first second on.
 */
const YOUNG_BYTES_MAX = 16 * 2 ** 20;
/** Capacity is told without the headers of pages, and after some collections an eighth lower than it is. */
const UNTOLD_SHARE = 0.2;
/**
 * The old generation may grow by so much of what was alive in it, until it is collected. A collection begins when what is
 * left of that is less than the young generation: with half as much it took place each 15,000 jobs, and marking the 40 MiB
 * that live was a quarter of the server's CPU time.
 */
const OLD_GROWTH_PERCENT = 100;

/**
 * Keeps the heap of this process small, from now on. A server holds little and makes much: by itself V8 answers that with
 * a young generation of 128 MiB and an old one of up to four times what is alive, and gives neither back. With 1 M jobs
 * submitted in bulk that was 388 to 418 MiB; with these bounds it is some 235, for a few percent more CPU time of the server.
 *
 * Does nothing where Node was started with a `--max-semi-space-size`: then somebody else has decided. That option counts
 * only at the start of a process, which is the user's, or npm's, or a service manager's; how spaces grow can be said at any
 * time.
 */
export function boundHeap(): void {
  const given = [...process.execArgv, process.env["NODE_OPTIONS"]].join(" ").replaceAll("_", "-");
  if (given.includes("--max-semi-space-size")) return;
  setFlagsFromString(`--heap-growing-percent=${OLD_GROWTH_PERCENT}`);
  // It doubles at a collection, and it shrinks at one when the process idles, after which it must be able to grow again.
  let wasFull = false;
  const observer = new PerformanceObserver(() => {
    const isFull = youngCapacity() > YOUNG_BYTES_MAX * (1 - UNTOLD_SHARE);
    if (isFull === wasFull) return;
    wasFull = isFull;
    setFlagsFromString(`--semi-space-growth-factor=${isFull ? 1 : 2}`);
  });
  observer.observe({ entryTypes: ["gc"] });
}

/** Bytes for objects in one half. */
function youngCapacity(): number {
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space");
  return space === undefined ? 0 : space.space_used_size + space.space_available_size;
}
