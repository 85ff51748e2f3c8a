/** The jobs of the load: what each is, from its number alone. */
import { randomOf } from "./random.ts";

export const LOAD_TASK = "torture";

/** What the handler is given. */
export interface LoadInput {
  /** Its number in the load, from 0. */
  readonly number: number;
  readonly durationMs: number;
  readonly isFailingOnce: boolean;
}

export interface LoadJob {
  readonly input: LoadInput;
  /** Milliseconds until it may start; absent: at once. */
  readonly delayMs?: number;
  readonly idempotencyKey?: string;
  /** Submitted once more, as a caller does that lost the answer. Only with a key. */
  readonly isRepeated: boolean;
}

/** Of 1,000 jobs so many are … */
const LONG = 20;
const FAILING_ONCE = 50;
const DELAYED = 50;
const KEYED = 100;

/** The job of a number. The same seed makes the same load. */
export function loadJob(seed: number, number: number): LoadJob {
  const random = randomOf(seed, number);
  const isLong = random() * 1_000 < LONG;
  const isKeyed = random() * 1_000 < KEYED;
  return {
    input: {
      number,
      durationMs: isLong ? 2_000 + Math.floor(random() * 3_000) : 0,
      isFailingOnce: random() * 1_000 < FAILING_ONCE,
    },
    ...(random() * 1_000 < DELAYED && { delayMs: 100 + Math.floor(random() * 2_900) }),
    ...(isKeyed && { idempotencyKey: `${seed}-${number}` }),
    isRepeated: isKeyed && random() < 0.5,
  };
}
