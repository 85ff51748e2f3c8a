/** What every built-in task must do. A new task passes this suite in its own test file. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { BatonError, Cancelled, Fatal, type Task } from "@baton/sdk";

import { testContext } from "./task-context.ts";

export interface TaskExercise extends AsyncDisposable {
  readonly task: Task;
  /** Inputs that succeed, by what they are. At least one. */
  readonly good: Readonly<Record<string, unknown>>;
  /** Inputs that can never succeed, by what is wrong with them. Empty for a task that takes anything. */
  readonly bad: Readonly<Record<string, unknown>>;
  /** A run that would last for many seconds. Absent for a task that never waits. */
  readonly long?: LongRun;
}

export interface LongRun {
  readonly input: unknown;
  /** Resolves when the run is in the middle of its work. @default its first progress or heartbeat */
  readonly underWay?: Promise<unknown>;
}

/** How long a handler may take to end after its signal aborts: half of the grace that jobs have by default. */
const STOP_MS_MAX = 5_000;

/** Registers the suite. `make` is called once per test, so that no test sees what another one left. */
export function exerciseTask(name: string, make: () => Promise<TaskExercise>): void {
  describe(`${name}, as every built-in task`, () => {
    it("has its name, a description, and a schema that describes each field", async () => {
      await using exercise = await make();
      const { task } = exercise;

      assert.equal(task.name, name);
      assert.match(task.description ?? "", /^[A-Z].*\.$/);
      const schema: JsonSchema = JSON.parse(JSON.stringify(task.inputSchema));
      const fields = Object.entries(schema.properties ?? { input: schema });
      for (const [field, { description }] of fields) {
        assert.match(description ?? "", /.{5,}\.$/, `the field ${field} has no description`);
      }
    });

    it("returns JSON that survives the wire unchanged", async () => {
      await using exercise = await make();
      const inputs = Object.entries(exercise.good);

      assert.notEqual(inputs.length, 0);
      for (const [what, input] of inputs) {
        const result = await run(exercise.task, input);
        assert.deepEqual(JSON.parse(JSON.stringify(result)), result, what);
      }
    });

    it("gives up for good on input that can never succeed", async () => {
      await using exercise = await make();

      for (const [what, input] of Object.entries(exercise.bad)) {
        await assert.rejects(run(exercise.task, input), isForGood, what);
      }
    });

    it("ends soon after its signal aborts, with the signal's reason", async () => {
      await using exercise = await make();
      if (exercise.long === undefined) return;
      const controller = new AbortController();
      const context = testContext({ signal: controller.signal });
      const reason = new Cancelled("cancelled by a test");

      const running = run(exercise.task, exercise.long.input, context);
      const ended = assert.rejects(running, reason);
      await Promise.race([exercise.long.underWay ?? context.underWay, ended]);
      const abortedAtMs = performance.now();
      controller.abort(reason);
      await ended;

      assert.ok(performance.now() - abortedAtMs < STOP_MS_MAX);
    });

    it("does not start when its signal is aborted already", async () => {
      await using exercise = await make();
      if (exercise.long === undefined) return;
      const reason = new Cancelled("cancelled before");
      const context = testContext({ signal: AbortSignal.abort(reason) });

      await assert.rejects(run(exercise.task, exercise.long.input, context), reason);
    });
  });
}

interface JsonSchema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
}

/** Runs a task with an input as it arrives from the wire, checked first, as a worker does. */
export async function run(task: Task, input: unknown, context = testContext()): Promise<unknown> {
  const arrived: unknown = Buffer.isBuffer(input) ? input : JSON.parse(JSON.stringify(input));
  // A task of unknown kind cannot be called with any input by its type.
  return Reflect.apply(task.run, undefined, [arrived, context.ctx]);
}

function isForGood(error: unknown): true {
  const isInvalid = error instanceof BatonError && error.code === "invalid_input";
  assert.ok(
    isInvalid || error instanceof Fatal,
    `expected an end for good, received ${String(error)}`,
  );
  return true;
}
