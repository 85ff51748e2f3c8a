import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";

import { present } from "../../test/a-job.ts";
import { Batcher, type BatcherOptions } from "./batcher.ts";

describe("Batcher", () => {
  it("writes a lone item at once, without waiting for company", async () => {
    const { batcher, batches } = aBatcher();

    batcher.add("a", 1);
    await nextTurn();

    assert.deepEqual(batches, [["a"]]);
  });

  it("writes what arrives in one turn of the event loop together, in its order", async () => {
    const { batcher, batches } = aBatcher();

    for (const item of ["a", "b", "c"]) batcher.add(item, 1);
    await nextTurn();

    assert.deepEqual(batches, [["a", "b", "c"]]);
  });

  it("makes the next batch of what arrives while a statement is under way", async () => {
    const { batcher, batches, endWrite } = aBatcher();
    batcher.add("a", 1);
    await nextTurn();

    for (const item of ["b", "c"]) {
      batcher.add(item, 1);
      await nextTurn();
    }
    assert.deepEqual([batches, batcher.pendingRows], [[["a"]], 2]);
    endWrite(0);
    await settled();

    assert.deepEqual(batches, [["a"], ["b", "c"]]);
  });

  it("has no more statements under way than it may", async () => {
    const { batcher, batches, endWrite } = aBatcher({ writesMax: 2 });
    for (const item of ["a", "b", "c", "d"]) {
      batcher.add(item, 1);
      await nextTurn();
    }

    assert.deepEqual(batches, [["a"], ["b"]]);
    endWrite(1);
    await settled();

    assert.deepEqual(batches, [["a"], ["b"], ["c", "d"]]);
  });

  it("uses every statement it may have when more waits than one batch takes", async () => {
    const { batcher, batches } = aBatcher({ writesMax: 2, batchRowsMax: 2 });

    for (const item of ["a", "b", "c", "d", "e"]) batcher.add(item, 1);
    await settled();

    assert.deepEqual(
      [batches, batcher.pendingRows],
      [
        [
          ["a", "b"],
          ["c", "d"],
        ],
        1,
      ],
    );
  });

  it("ends a batch before the item that would make it too large", async () => {
    const { batcher, batches, endWrite } = aBatcher({ batchRowsMax: 10 });

    for (const [item, rows] of [
      ["a", 4],
      ["b", 6],
      ["c", 1],
    ] as const)
      batcher.add(item, rows);
    await settled();
    endWrite(0);
    await settled();

    assert.deepEqual(batches, [["a", "b"], ["c"]]);
  });

  it("makes a batch of its own of an item that is larger than a batch may be", async () => {
    const { batcher, batches, endWrite } = aBatcher({ batchRowsMax: 10 });

    for (const [item, rows] of [
      ["a", 1],
      ["b", 11],
      ["c", 1],
    ] as const)
      batcher.add(item, rows);
    for (let write = 0; write < 3; write += 1) {
      await settled();
      endWrite(write);
    }

    assert.deepEqual(batches, [["a"], ["b"], ["c"]]);
  });

  it("refuses one item more than may wait, says how many do, and takes items again later", async () => {
    const { batcher, batches, endWrite } = aBatcher({ pendingRowsMax: 2 });
    batcher.add("a", 1);
    await nextTurn();
    batcher.add("b", 1);
    batcher.add("c", 1);

    assert.throws(() => batcher.add("d", 1), {
      code: "resource_exhausted",
      message:
        "2 things wait for the database already, as much as this server keeps. Slow down and try again.",
    });
    endWrite(0);
    await settled();
    batcher.add("d", 1);
    endWrite(1);
    await settled();

    assert.deepEqual(batches, [["a"], ["b", "c"], ["d"]]);
  });

  it("refuses more rows than may wait, and no smaller item for that", async () => {
    const { batcher } = aBatcher({ pendingRowsMax: 10 });
    batcher.add("a", 9);

    assert.throws(() => batcher.add("b", 2), { code: "resource_exhausted" });
    batcher.add("c", 1);

    assert.equal(batcher.pendingRows, 10);
  });

  it("counts bytes apart from rows, in a batch and in what waits", async () => {
    const { batcher, batches } = aBatcher({ batchBytesMax: 10, pendingBytesMax: 20 });
    batcher.add("a", 1, 8);
    batcher.add("b", 1, 8);

    assert.throws(() => batcher.add("c", 1, 8), { code: "resource_exhausted" });
    batcher.add("d", 1, 2);
    await settled();

    assert.deepEqual(batches, [["a"]]);
    assert.deepEqual([batcher.pendingRows, batcher.pendingBytes], [2, 10]);
  });

  it("is idle before the first item and after the last write, not in between", async () => {
    const { batcher, endWrite } = aBatcher();
    await batcher.idle();
    const seen: boolean[] = [batcher.isIdle];

    batcher.add("a", 1);
    seen.push(batcher.isIdle);
    const idle = batcher.idle().then(() => "idle");
    await nextTurn();
    batcher.add("b", 1);
    endWrite(0);
    await settled();
    seen.push(batcher.isIdle);
    assert.equal(await Promise.race([idle, nextTurn("busy")]), "busy");
    endWrite(1);

    assert.equal(await idle, "idle");
    assert.deepEqual([...seen, batcher.isIdle], [true, false, false, true]);
  });

  it("tells of a write that rejects, and writes on", async () => {
    const { batcher, batches, endWrite, errors } = aBatcher();
    const failure = new Error("write went wrong");
    batcher.add("a", 1);
    await nextTurn();
    batcher.add("b", 1);

    endWrite(0, failure);
    await settled();
    endWrite(1);
    await batcher.idle();

    assert.deepEqual(errors, [failure]);
    assert.deepEqual(batches, [["a"], ["b"]]);
  });
});

/** A batcher whose writes end when the test says so. */
function aBatcher(different: Partial<BatcherOptions<string>> = {}) {
  const batches: (readonly string[])[] = [];
  const writes: PromiseWithResolvers<void>[] = [];
  const errors: unknown[] = [];
  const batcher = new Batcher<string>({
    write: (items) => {
      const write = Promise.withResolvers<void>();
      batches.push(items);
      writes.push(write);
      return write.promise;
    },
    writesMax: 1,
    batchRowsMax: 100,
    batchBytesMax: 1_000,
    pendingRowsMax: 100,
    pendingBytesMax: 10_000,
    what: "things",
    onError: (error) => errors.push(error),
    ...different,
  });
  const endWrite = (index: number, failure?: Error): void => {
    const write = present(writes[index]);
    if (failure === undefined) write.resolve();
    else write.reject(failure);
  };
  return { batcher, batches, errors, endWrite };
}

/** Whatever the batcher does next by itself is done: one turn after the end of a write, one for each further batch. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await nextTurn();
}
