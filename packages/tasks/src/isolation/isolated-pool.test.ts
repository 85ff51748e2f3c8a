import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";

import type { IsolatedRequest } from "../../test/isolated-work.ts";
import { IsolatedPool, IsolationError, moduleBeside } from "./isolated-pool.ts";

const MODULE = new URL("../../test/isolated-work.ts", import.meta.url);
const NEVER = new AbortController().signal;

function aPool(kind: "thread" | "process", countMax = 2) {
  return new IsolatedPool<IsolatedRequest, unknown>({
    kind,
    module: MODULE,
    countMax,
    heapMegabytesMax: 32,
  });
}

function isolationError(kind: IsolationError["kind"], message: RegExp) {
  return (error: unknown): true => {
    assert.ok(error instanceof IsolationError, String(error));
    assert.equal(error.kind, kind);
    assert.match(error.message, message);
    return true;
  };
}

for (const kind of ["thread", "process"] as const) {
  describe(`IsolatedPool of a ${kind}`, () => {
    const pool = aPool(kind);
    const run = (request: IsolatedRequest, timeoutMs = 20_000, signal = NEVER) =>
      pool.run(request, { timeoutMs, signal });

    it("returns results, bytes as bytes", async () => {
      const result = await run({ kind: "double", bytes: Buffer.from([1, 2]) });

      assert.ok(result instanceof Uint8Array);
      assert.deepEqual([...result], [2, 4]);
    });

    it("passes a refusal on with its code", async () => {
      await assert.rejects(run({ kind: "refuse" }), (error: unknown) => {
        assert.ok(error instanceof IsolationError);
        assert.deepEqual(
          [error.kind, error.fault, error.message],
          ["refused", "page_unreadable", "no good"],
        );
        return true;
      });
    });

    it("tells a failure from a refusal", async () => {
      await assert.rejects(run({ kind: "throw" }), isolationError("failed", /^a mistake$/));
    });

    it("ends what does not end by itself, and works on", async () => {
      await assert.rejects(
        run({ kind: "spin" }, 200),
        isolationError("timed_out", /longer than 200 ms/),
      );

      assert.equal(await run({ kind: "sleep", ms: 1 }), "slept");
    });

    it("ends with the signal's reason when it aborts", async () => {
      const controller = new AbortController();
      const reason = new Error("cancelled");

      const ended = assert.rejects(run({ kind: "spin" }, 20_000, controller.signal), reason);
      controller.abort(reason);
      await ended;
    });

    it("starts nothing for a signal that is aborted already", async () => {
      const reason = new Error("cancelled before");

      await assert.rejects(run({ kind: "pid" }, 20_000, AbortSignal.abort(reason)), reason);
    });

    it("survives an exit in the middle", async () => {
      await assert.rejects(run({ kind: "exit" }), isolationError("crashed", /ended with 3/));

      assert.equal(await run({ kind: "sleep", ms: 1 }), "slept");
    });

    it("survives more memory than it has", async () => {
      await assert.rejects(run({ kind: "hoard" }), isolationError("crashed", /memory|ended with/));

      assert.equal(await run({ kind: "sleep", ms: 1 }), "slept");
    });

    it("runs no more at a time than told, and first come first served", async () => {
      const narrow = aPool(kind, 1);
      const order: number[] = [];
      const each = [0, 1, 2, 3].map(async (index) => {
        await narrow.run({ kind: "sleep", ms: 5 }, { timeoutMs: 20_000, signal: NEVER });
        order.push(index);
      });

      await Promise.all(each);

      assert.deepEqual(order, [0, 1, 2, 3]);
    });

    it("gives the place of one that stopped waiting to the next", async () => {
      const narrow = aPool(kind, 1);
      const controller = new AbortController();
      const reason = new Error("no longer wanted");
      const options = { timeoutMs: 20_000, signal: NEVER };

      const first = narrow.run({ kind: "sleep", ms: 20 }, options);
      const second = assert.rejects(
        narrow.run({ kind: "sleep", ms: 1 }, { ...options, signal: controller.signal }),
        reason,
      );
      const third = narrow.run({ kind: "sleep", ms: 1 }, options);
      controller.abort(reason);

      await second;
      assert.deepEqual(await Promise.all([first, third]), ["slept", "slept"]);
    });
  });
}

describe("IsolatedPool of a process, and the worker", () => {
  it("uses a process again", async () => {
    const pool = aPool("process");
    const options = { timeoutMs: 20_000, signal: NEVER };

    const pids = [
      await pool.run({ kind: "pid" }, options),
      await pool.run({ kind: "pid" }, options),
    ];

    assert.equal(pids[0], pids[1]);
    assert.notEqual(pids[0], process.pid);
  });

  it("leaves no process behind when the worker is gone", async () => {
    const isolated = fork(MODULE, { execArgv: [], stdio: ["ignore", "ignore", "ignore", "ipc"] });
    isolated.send({ kind: "pid" });
    await once(isolated, "message");
    const exited = once(isolated, "exit");

    isolated.disconnect();

    assert.deepEqual(await exited, [0, null]);
  });

  it("outlives the interrupt that a terminal sends to everybody", async () => {
    const isolated = fork(MODULE, { execArgv: [], stdio: ["ignore", "ignore", "ignore", "ipc"] });
    isolated.send({ kind: "pid" });
    await once(isolated, "message");

    isolated.kill("SIGINT");
    isolated.send({ kind: "sleep", ms: 1 });
    const [answer] = (await once(isolated, "message")) as readonly unknown[];
    isolated.kill("SIGKILL");

    assert.deepEqual(answer, { kind: "result", result: "slept" });
  });
});

describe("moduleBeside", () => {
  it("finds a module as it is written and as it is compiled", () => {
    assert.equal(moduleBeside("file:///a/b.ts", "c/d").href, "file:///a/c/d.ts");
    assert.equal(moduleBeside("file:///a/b.js", "c/d").href, "file:///a/c/d.js");
  });
});
