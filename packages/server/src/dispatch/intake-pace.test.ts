import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { aDelivery, aLoneLane, aSession } from "../../test/a-session.ts";
import { anAdmittedJob } from "../../test/an-admitted-job.ts";
import type { EnqueueCall } from "./admission.ts";
import { IntakePace } from "./intake-pace.ts";
import type { Lane } from "./lane.ts";
import { WorkerGroup } from "./worker-group.ts";

/** Attempts that end in a moment where workers are fast. */
const MANY = 3_000;

describe("IntakePace", () => {
  it("lets through at once what nobody can run", async () => {
    const { pace, aBulk } = aPace({ capacity: 0 });

    const calls = [aBulk(100, aLoneLane(9))];

    assert.deepEqual(await pace.nextPart(calls, 150), calls);
  });

  it("lets through at once as many calls as find free slots", async () => {
    const { pace, aBulk } = aPace({ capacity: 250 });

    const calls = [aBulk(100), aBulk(100), aBulk(100)];

    assert.deepEqual(await pace.nextPart(calls, 150), calls.slice(0, 2));
  });

  it("lets everything through at once where workers cannot hold two such calls", async () => {
    const { pace, aBulk, hold, end } = aPace({ capacity: 199 });
    end(MANY);
    hold(150);

    const calls = [aBulk(100), aBulk(100)];

    assert.deepEqual(await pace.nextPart(calls, 150), calls);
  });

  it("lets everything through at once where workers are slow", async () => {
    const { pace, aBulk, hold } = aPace({ capacity: 200 });
    hold(200);

    const calls = [aBulk(100), aBulk(100)];

    assert.deepEqual(await pace.nextPart(calls, 150), calls);
  });

  it("lets everything through at once where many jobs are queued", async () => {
    const { pace, aBulk, lane, hold, end } = aPace({ capacity: 200 });
    hold(200);
    end(MANY);
    lane.markBacklog();
    lane.countReady(50_001);

    const calls = [aBulk(100), aBulk(100)];

    assert.deepEqual(await pace.nextPart(calls, 150), calls);
  });

  it("lets everything through at once when the batch has waited for long enough", async () => {
    const { pace, aBulk, hold, end } = aPace({ capacity: 200 });
    hold(200);
    end(MANY);

    const calls = [aBulk(100), aBulk(100)];

    assert.deepEqual(await pace.nextPart(calls, 0), calls);
  });

  for (const [what, extra] of [
    ["start later", { delayMs: 1_000 }],
    ["start at an instant", { runAt: new Date(0) }],
  ] as const) {
    it(`lets jobs through at once that ${what}`, async () => {
      const { pace, aBulk, lane, hold, end } = aPace({ capacity: 200 });
      hold(200);
      end(MANY);

      const calls = [{ ...aBulk(100), jobs: [{ ...anAdmittedJob(lane), extra }] }];

      assert.deepEqual(await pace.nextPart(calls, 150), calls);
    });
  }

  it("waits for slots where workers are fast", async () => {
    const { pace, aBulk, hold, end } = aPace({ capacity: 200 });
    end(MANY);
    const release = hold(200);

    const calls = [aBulk(100), aBulk(100)];
    const next = pace.nextPart(calls, 150);
    release(100);

    assert.deepEqual(await next, calls.slice(0, 1));
  });

  it("waits until more jobs ended than it lets in where some are queued", async () => {
    const { pace, aBulk, lane, hold, end } = aPace({ capacity: 200 });
    hold(200);
    end(MANY);
    lane.markBacklog();
    lane.countReady(10);

    const calls = [aBulk(100), aBulk(100)];
    let isLetIn = false;
    const next = pace.nextPart(calls, 150).then((part) => {
      isLetIn = true;
      return part;
    });
    end(299);
    await Promise.resolve();
    const wasLetIn = isLetIn;
    end(1);

    assert.deepEqual([wasLetIn, await next], [false, calls]);
  });

  it("goes on waiting when another batch takes the slots that it was woken for", async () => {
    const { pace, aBulk, hold, end } = aPace({ capacity: 200 });
    end(MANY);
    const release = hold(200);

    const calls = [aBulk(100)];
    const next = pace.nextPart(calls, 150);
    release(100);
    const again = hold(100);
    again(100);

    assert.deepEqual(await next, calls);
  });

  it("waits for no longer than a moment", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { pace, aBulk, hold, end, pass } = aPace({ capacity: 200 });
    hold(200);
    end(MANY);

    const calls = [aBulk(100), aBulk(100)];
    const next = pace.nextPart(calls, 150);
    pass(150);
    t.mock.timers.tick(150);

    assert.deepEqual(await next, calls);
  });
});

/** A pace for one group with one worker; its lane is empty. */
function aPace({ capacity }: { readonly capacity: number }) {
  let nowMs = 0;
  const lane = aLoneLane();
  lane.markEmpty(lane.wakeUps);
  const group = new WorkerGroup("key", ["noop"], ["default"], () => undefined);
  group.addLane(lane);
  const { session } = aSession({ slots: capacity });
  session.group = group;
  group.workers.push(session);
  group.recount();
  const pace = new IntakePace({
    workers: { groupsOf: (of) => (of === lane ? [group] : []) },
    now: () => nowMs,
  });
  const aBulk = (jobs: number, of: Lane = lane): EnqueueCall => ({
    jobs: Array.from({ length: jobs }, () => anAdmittedJob(of)),
    resolve: () => undefined,
    reject: () => undefined,
  });
  const hold = (jobs: number) => {
    const held = Array.from({ length: jobs }, () => session.hold(aDelivery(lane), 0));
    return (count: number): void => {
      for (const one of held.splice(0, count)) session.letGo(one, 0);
    };
  };
  const end = (attempts: number): void => {
    for (let attempt = 0; attempt < attempts; attempt += 1) group.ended(0);
  };
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { pace, lane, aBulk, hold, end, pass };
}
