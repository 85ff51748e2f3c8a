import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";

import type { TaskContext } from "./context.ts";
import { createClient } from "./create-client.ts";
import type { JobHandle } from "./job-handle.ts";
import type { JsonOf } from "./json-type.ts";
import { isTask, task } from "./task.ts";
import type { Task } from "./task.ts";

/** Compiles only when both types are the same. */
// oxlint-disable typescript/no-unnecessary-type-parameters -- comparing generic functions is what tells types apart
type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
// oxlint-enable typescript/no-unnecessary-type-parameters
function same<A, B>(_isSame: Same<A, B>): void {}

const context: TaskContext = {
  job: {
    id: "1",
    attempt: 1,
    task: "t",
    queue: "default",
    tags: [],
    createdAt: new Date(0),
    maxAttempts: 3,
    failureCount: 0,
    priority: 0,
  },
  fence: { jobId: "1", attempt: 1 },
  signal: new AbortController().signal,
  progress: () => undefined,
  heartbeat: () => undefined,
  log: {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: () => undefined,
  },
};

const withZod = task({
  name: "zod",
  input: z.object({ a: z.string(), n: z.number().default(3) }),
  run(input, ctx) {
    same<typeof input, { a: string; n: number }>(true);
    same<typeof ctx.fence, { readonly jobId: string; readonly attempt: number }>(true);
    return { length: input.a.length * input.n, at: new Date(0) };
  },
});
const withValibot = task({
  name: "valibot",
  input: v.object({ a: v.string(), n: v.optional(v.number(), 3) }),
  run(input) {
    same<typeof input, { a: string; n: number }>(true);
    return Promise.resolve(input.a.length * input.n);
  },
});
const withArktype = task({
  name: "arktype",
  input: type({ a: "string", "n?": "number" }),
  run: (input) => {
    same<typeof input, { a: string; n?: number }>(true);
    return input.a.length * (input.n ?? 3);
  },
});
const withoutSchema = task({ name: "plain", run: (input: { a: string }) => input.a });
const untyped = task({ name: "untyped", run: (input) => input });

describe("task", () => {
  for (const [name, run] of [
    ["zod", () => withZod.run({ a: "xx" }, context)],
    ["valibot", () => withValibot.run({ a: "xx" }, context)],
    ["arktype", () => withArktype.run({ a: "xx" }, context)],
  ] as const) {
    it(`runs with a validator of ${name}`, async () => {
      const result = await run();

      assert.equal(typeof result === "number" ? result : result.length, 6);
    });
  }

  it("throws invalid_input for what the validator refuses", async () => {
    const input: object = { a: 1 };
    for (const run of [withZod.run, withValibot.run, withArktype.run]) {
      await assert.rejects(Reflect.apply(run, undefined, [input, context]), {
        code: "invalid_input",
        message: /a/,
      });
    }
  });

  it("takes the JSON Schema from validators that know theirs", () => {
    assert.deepEqual(Object(withZod.inputSchema).properties.a, { type: "string" });
    assert.deepEqual(Object(withArktype.inputSchema).properties.a, { type: "string" });
    assert.equal(withValibot.inputSchema, undefined);
    assert.equal(withoutSchema.inputSchema, undefined);
  });

  it("has no JSON Schema for what JSON Schema cannot say", () => {
    const dated = task({ name: "d", input: z.object({ at: z.date() }), run: () => undefined });

    assert.equal(dated.inputSchema, undefined);
  });

  it("prefers the JSON Schema that it is given", () => {
    const inputSchema = { type: "object" };
    const given = task({ name: "g", input: z.object({}), inputSchema, run: () => undefined });

    assert.equal(given.inputSchema, inputSchema);
  });

  it("is known by isTask", () => {
    assert.equal(isTask(withZod), true);
    assert.equal(isTask({ name: "x", run: () => undefined }), false);
    assert.equal(isTask(undefined), false);
  });

  it("lets types flow to enqueue and result", () => {
    const client = createClient();
    // Never called: only its types count.
    const check = async () => {
      const one = await client.enqueue(withZod, { a: "x" });
      same<typeof one, JobHandle<{ length: number; at: string }>>(true);
      const two = await client.enqueue(withValibot, { a: "x", n: 1 });
      same<typeof two, JobHandle<number>>(true);
      const three = await client.enqueue(withArktype, { a: "x" });
      same<Awaited<ReturnType<typeof three.result>>, number>(true);
      await client.enqueue(withoutSchema, { a: "x" });
      await client.enqueue(untyped, 17);
      const named = await client.enqueue<{ b: boolean }>("by-name", { any: "thing" });
      same<typeof named, JobHandle<{ b: boolean }>>(true);
      const many = await client.enqueueMany(withZod, [{ a: "x" }, { a: "y", n: 1 }], (input) => {
        same<typeof input, { a: string; n?: number | undefined }>(true);
        return { uniqueKey: input.a };
      });
      same<typeof many, readonly JobHandle<{ length: number; at: string }>[]>(true);

      // @ts-expect-error a is missing
      await client.enqueue(withZod, {});
      // @ts-expect-error a is a string
      await client.enqueue(withValibot, { a: 1 });
      // @ts-expect-error b is not there
      await client.enqueue(withArktype, { a: "x", b: 1 });
      // @ts-expect-error input is missing
      await client.enqueue(withoutSchema);
      // @ts-expect-error delay is no option
      await client.enqueue(withZod, { a: "x" }, { delay: 5 });
      // @ts-expect-error the second input has no a
      await client.enqueueMany(withZod, [{ a: "x" }, {}]);
    };
    const any: readonly Task[] = [withZod, withValibot, withArktype, withoutSchema, untyped];

    client.close();
    assert.equal(any.length, 5);
    assert.equal(typeof check, "function");
  });

  it("knows what is left of a type after JSON", () => {
    same<JsonOf<Date>, string>(true);
    same<JsonOf<void>, null>(true);
    same<JsonOf<string | undefined>, string | null>(true);
    same<JsonOf<{ a?: Date; f: () => void; n: number }>, { a?: string | undefined; n: number }>(
      true,
    );
    same<JsonOf<readonly [1, Date]>, readonly [1, string]>(true);
    same<JsonOf<bigint>, never>(true);
    same<JsonOf<unknown>, unknown>(true);
    assert.ok(true);
  });

  const bad: readonly [string, object, RegExp][] = [
    ["no name", { run: () => 1 }, /name is 1 to 128 letters/],
    ["a name with a space", { name: "a b", run: () => 1 }, /got "a b"/],
    ["no handler", { name: "x" }, /needs a function run/],
    [
      "a JSON Schema as input",
      { name: "x", run: () => 1, input: { type: "object" } },
      /inputSchema/,
    ],
  ];
  for (const [what, options, message] of bad) {
    it(`refuses ${what}`, () => {
      assert.throws(() => Reflect.apply(task, undefined, [options]), {
        name: "BatonError",
        code: "invalid_argument",
        message,
      });
    });
  }
});
