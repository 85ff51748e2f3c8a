import { durationText } from "../../packages/server/src/cli/time-text.ts";
import type { Act } from "./act.ts";
import type { Screen } from "./screen.ts";
import type { System } from "./system.ts";

export interface ActResult {
  readonly act: Act;
  readonly isGood: boolean;
  /** What came out, or what was wrong. */
  readonly came: string;
  readonly tookMs: number;
}

/** An act takes seconds; on a machine that is busy with something else a few times as many. */
const ACT_MS_MAX = 90_000;

/** Runs all acts, those that disturb the others after them. One that fails stops no other. */
export async function play(
  acts: readonly Act[],
  system: System,
  screen: Screen,
  signal: AbortSignal,
): Promise<readonly ActResult[]> {
  const results = new Map<Act, ActResult>();
  screen.show(acts);
  const run = async (act: Act): Promise<void> => {
    if (signal.aborted) return;
    results.set(act, await perform(act, system, screen, signal));
  };
  await Promise.all(acts.filter(({ isLast }) => isLast !== true).map(run));
  for (const act of acts.filter(({ isLast }) => isLast === true)) await run(act);
  signal.throwIfAborted();
  return acts.flatMap((act) => results.get(act) ?? []);
}

async function perform(
  act: Act,
  system: System,
  screen: Screen,
  signal: AbortSignal,
): Promise<ActResult> {
  const row = screen.row(act);
  const startedAtMs = performance.now();
  const end = (isGood: boolean, came: string): ActResult => {
    const tookMs = performance.now() - startedAtMs;
    row.end(isGood, came, tookMs);
    return { act, isGood, came, tookMs };
  };
  row.tell("begins");
  try {
    const stage = { ...system, tell: row.tell, tellProgress: row.tellProgress };
    return end(true, await withinTime(act.run(stage), signal));
  } catch (error) {
    return end(false, error instanceof Error ? error.message : String(error));
  }
}

async function withinTime<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const late = AbortSignal.timeout(ACT_MS_MAX);
  const ended = Promise.withResolvers<never>();
  const onLate = () => ended.reject(new Error(`not ended after ${durationText(ACT_MS_MAX)}`));
  const onStop = () => ended.reject(new Error("stopped"));
  late.addEventListener("abort", onLate, { once: true });
  signal.addEventListener("abort", onStop, { once: true });
  try {
    return await Promise.race([work, ended.promise]);
  } finally {
    late.removeEventListener("abort", onLate);
    signal.removeEventListener("abort", onStop);
  }
}
