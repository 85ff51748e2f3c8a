import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Places } from "./places.ts";

const NEVER = new AbortController().signal;

describe("Places", () => {
  it("hands places over in the order of asking, and never more than there are", async () => {
    const places = new Places(2);
    const order: number[] = [];
    let takenCount = 0;
    let takenCountMax = 0;
    const visit = async (index: number) => {
      order.push(index);
      takenCount += 1;
      takenCountMax = Math.max(takenCountMax, takenCount);
      await Promise.resolve();
      takenCount -= 1;
    };

    const visits = [0, 1, 2, 3, 4].map((index) => places.use(NEVER, () => visit(index)));
    await Promise.all(visits);

    assert.deepEqual(order, [0, 1, 2, 3, 4]);
    assert.equal(takenCountMax, 2);
  });

  it("ends a wait with the signal's reason and keeps its place for the next", async () => {
    const places = new Places(1);
    const controller = new AbortController();
    const reason = new Error("no longer wanted");
    const work = Promise.withResolvers<string>();
    const first = places.use(NEVER, () => work.promise);
    const second = places.use(controller.signal, () => Promise.resolve("second"));
    const third = places.use(NEVER, () => Promise.resolve("third"));

    const refused = assert.rejects(second, reason);
    controller.abort(reason);
    await refused;
    work.resolve("first");

    assert.deepEqual(await Promise.all([first, third]), ["first", "third"]);
  });

  it("gives a place on when it was handed over and aborted at the same moment", async () => {
    const places = new Places(1);
    const controller = new AbortController();
    const work = Promise.withResolvers<void>();
    const first = places.use(NEVER, () => work.promise);
    const second = assert.rejects(
      places.use(controller.signal, () => Promise.resolve()),
      /cancelled/,
    );

    work.resolve();
    controller.abort(new Error("cancelled"));
    await Promise.all([first, second]);

    assert.equal(await places.use(NEVER, () => Promise.resolve("next")), "next");
  });

  it("gives the place back when the work fails", async () => {
    const places = new Places(1);

    await assert.rejects(
      places.use(NEVER, () => Promise.reject(new Error("failed"))),
      /failed/,
    );

    assert.equal(await places.use(NEVER, () => Promise.resolve("next")), "next");
  });

  it("does not wait at all for a signal that is aborted already", async () => {
    const reason = new Error("cancelled before");

    const work = () => Promise.resolve("not done");

    await assert.rejects(new Places(1).use(AbortSignal.abort(reason), work), reason);
  });
});
