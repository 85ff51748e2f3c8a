/** Jobs that come in: plain, with keys, in bulk, and again because an answer was lost. */
import assert from "node:assert/strict";
import fc from "fast-check";

import { newJobId } from "../../src/domain/job-id.ts";
import { enqueueAgain, enqueueKeyed, enqueuePlain } from "../../src/operations/enqueue.ts";
import type { NewJob } from "../../src/store/job-enqueue.ts";
import { present } from "../a-job.ts";
import { command, someQueue, someSeconds, someWorker, sometimes } from "./job-command.ts";
import type { KeyedWish, Wish } from "./job-model.ts";
import { NAMESPACE, type Tables } from "./job-tables.ts";

/** Shorter than the longest stretch of time that passes, so that keys expire. */
const KEEP_MS = 60_000;

/** Without an id, which is new in each run. */
type Shape = Omit<Wish, "id">;

const someShape: fc.Arbitrary<Shape> = fc.record({
  queue: someQueue,
  priority: fc.constantFrom(0, 0, 1, 100, -100),
  maxAttempts: fc.integer({ min: 1, max: 3 }),
  delayMs: sometimes(fc.constantFrom(1_000, 5_000, 30_000)),
  queueTimeoutMs: sometimes(someSeconds),
  deadlineMs: sometimes(someSeconds),
  uniqueKey: fc.constant(undefined),
  worker: sometimes(someWorker),
});

const someKeyedShape = fc.record({
  shape: someShape,
  fingerprint: fc.constantFrom("one", "other"),
  hasIdempotencyKey: fc.boolean(),
  hasUniqueKey: fc.boolean(),
  onConflict: fc.constantFrom("return_existing" as const, "reject" as const),
});

/** Instants within one command differ, so that nothing is due in the same millisecond. */
function wishOf(shape: Shape, index: number): Wish {
  const delayMs = shape.delayMs === undefined ? undefined : shape.delayMs + index;
  return { ...shape, delayMs, id: newJobId(Date.now()) };
}

function newJobOf(wish: Wish, tables: Tables): NewJob {
  const { id, queue, priority, maxAttempts, worker, ...extra } = wish;
  const { delayMs, queueTimeoutMs, deadlineMs, uniqueKey } = extra;
  return {
    id,
    laneId: present(tables.laneIds[queue]),
    priority,
    maxAttempts,
    input: "null",
    workerId: worker === undefined ? undefined : tables.workerIds[worker],
    extra: { delayMs, queueTimeoutMs, deadlineMs, uniqueKey },
  };
}

export const submitPlain = fc
  .record({ shapes: fc.array(someShape, { minLength: 1, maxLength: 4 }), isRepeated: fc.boolean() })
  .map(({ shapes, isRepeated }) =>
    command(
      `submit ${fc.stringify(shapes)}${isRepeated ? ", twice" : ""}`,
      async (model, tables) => {
        const wishes = shapes.map(wishOf);
        const jobs = wishes.map((wish) => newJobOf(wish, tables));

        const states = await enqueuePlain(tables.db, jobs);
        const repeated = isRepeated ? await enqueueAgain(tables.db, jobs) : states;

        const expected = wishes.map((wish) => model.submit(wish).state);
        assert.deepEqual(states, expected);
        assert.deepEqual(repeated, expected);
      },
    ),
  );

export const submitKeyed = fc
  .record({
    shapes: fc.array(someKeyedShape, { minLength: 1, maxLength: 2 }),
    isAllOrNone: fc.boolean(),
    isRepeated: fc.boolean(),
  })
  .map(({ shapes, isAllOrNone, isRepeated }) =>
    command(
      `submit with keys ${fc.stringify(shapes)}${isAllOrNone ? ", all or none" : ""}${isRepeated ? ", twice" : ""}`,
      async (model, tables) => {
        const wishes = shapes.map(({ shape, ...keys }, index): KeyedWish => ({
          ...wishOf(shape, index),
          uniqueKey: keys.hasUniqueKey ? `unique ${index}` : undefined,
          idempotency: keys.hasIdempotencyKey
            ? { key: `key ${index}`, fingerprint: keys.fingerprint }
            : undefined,
          onConflict: keys.onConflict,
        }));
        const items = wishes.map((wish) => ({
          job: newJobOf(wish, tables),
          idempotency: wish.idempotency,
          onConflict: wish.onConflict,
        }));
        const submit = (isRepeat: boolean) =>
          enqueueKeyed(tables.db, NAMESPACE, items, { keepMs: KEEP_MS, isAllOrNone, isRepeat });

        const answers = await submit(false);
        const repeated = isRepeated ? await submit(true) : answers;

        const expected = model.submitKeyed(wishes, KEEP_MS, isAllOrNone);
        assert.deepEqual(answers, expected);
        assert.deepEqual(repeated, expected);
      },
    ),
  );
