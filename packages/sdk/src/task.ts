import type { StandardSchemaV1 } from "@standard-schema/spec";

import type { TaskContext } from "./context.ts";
import { BatonError } from "./errors.ts";
import type { RetryPolicy } from "./retry-policy.ts";
import { invalidInput, isStandardSchema, jsonSchemaOf, validate } from "./schema.ts";
import { shown } from "./shown.ts";
import type { Validation } from "./schema.ts";

/** Everything of a task but its input and its code. All durations are milliseconds. */
export interface TaskSettings {
  /** 1 to 128 letters, digits and `_ - . : /`; what jobs are enqueued for. */
  readonly name: string;
  /** For people. */
  readonly description?: string | undefined;
  /** Failed attempts until a job is dead, 1 to 1,000. @default 3 */
  readonly maxAttempts?: number | undefined;
  /** How long to wait between attempts. @default exponential from 1 s to 1 h with full jitter */
  readonly retry?: RetryPolicy | undefined;
  /** One attempt may take so long; 0 means no limit. @default 1 hour */
  readonly attemptTimeoutMs?: number | undefined;
  /** The first attempt must start within so long after the job is due. @default no limit */
  readonly queueTimeoutMs?: number | undefined;
  /** The job must end within so long after acceptance, retries included. @default no limit */
  readonly deadlineMs?: number | undefined;
  /** The handler must call `ctx.progress` or `ctx.heartbeat` at least so often. @default no limit */
  readonly heartbeatTimeoutMs?: number | undefined;
  /** How long a handler may take to end after it was told to stop. @default 10 s */
  readonly cancelGraceMs?: number | undefined;
  /** JSON Schema of the input, for people and tools. @default what the validator of `input` says of itself */
  readonly inputSchema?: Readonly<Record<string, unknown>> | undefined;
}

/** A task with a validator: the input's type flows from it. */
export interface SchemaTaskOptions<Schema extends StandardSchemaV1, Output> extends TaskSettings {
  /** Any Standard Schema v1 validator. The producer checks with it before sending, the worker before running. */
  readonly input: Schema;
  readonly run: (
    input: StandardSchemaV1.InferOutput<Schema>,
    ctx: TaskContext,
  ) => Output | Promise<Output>;
}

/** A task without a validator: the input is whatever JSON the producer sent. */
export interface PlainTaskOptions<Input, Output> extends TaskSettings {
  readonly input?: undefined;
  readonly run: (input: Input, ctx: TaskContext) => Output | Promise<Output>;
}

/** Marks tasks, so that they are known even across two copies of this package. */
const TASK: unique symbol = Symbol.for("@baton/sdk task");

/**
 * A named kind of work. `Task` without parameters is any task.
 *
 * @typeParam Input  what producers pass to `enqueue`
 * @typeParam Output what the handler returns
 */
export interface Task<in Input = never, out Output = unknown> extends TaskSettings {
  /** Checks the input and runs the handler: what a worker does with a job, for tests of the task itself. */
  readonly run: (input: Input, ctx: TaskContext) => Promise<Output>;
  readonly [TASK]: TaskSteps;
}

/** The two steps of a task, apart, for producers and workers. */
export interface TaskSteps {
  readonly hasSchema: boolean;
  readonly validate: (input: unknown) => Validation | Promise<Validation>;
  /** Runs the handler on an input that `validate` has returned. */
  readonly handle: (input: unknown, ctx: TaskContext) => unknown;
}

/**
 * Defines a task.
 *
 * @example
 * const resize = task({
 *   name: "resize",
 *   input: z.object({ url: z.url(), width: z.number().int() }),
 *   async run({ url, width }, ctx) {
 *     return { bytes: (await resizeImage(url, width, ctx.signal)).length };
 *   },
 * });
 * @throws BatonError invalid_argument: a bad name, no `run`, an `input` that is no Standard Schema
 */
export function task<Schema extends StandardSchemaV1, Output>(
  options: SchemaTaskOptions<Schema, Output>,
): Task<StandardSchemaV1.InferInput<Schema>, Output>;
export function task<Input = unknown, Output = unknown>(
  options: PlainTaskOptions<Input, Output>,
): Task<Input, Output>;
export function task(options: LooseTaskOptions): Task {
  checkOptions(options);
  const { input: schema, run: handle, ...settings } = options;
  const steps: TaskSteps =
    schema === undefined
      ? { hasSchema: false, validate: (input) => ({ kind: "valid", value: input }), handle }
      : { hasSchema: true, validate: (input) => validate(schema, input), handle };
  return Object.freeze({
    ...settings,
    run: async (input: unknown, ctx: TaskContext) => {
      const validation = await steps.validate(input);
      if (validation.kind === "invalid") throw invalidInput(settings.name, validation.issues);
      return steps.handle(validation.value, ctx);
    },
    get inputSchema() {
      return options.inputSchema ?? (schema === undefined ? undefined : jsonSchemaOf(schema));
    },
    [TASK]: steps,
  });
}

/** Tells whether a value was made by {@link task}. */
export function isTask(value: unknown): value is Task {
  return typeof value === "object" && value !== null && TASK in value;
}

/** The steps of a task. */
export function stepsOf(definition: Task): TaskSteps {
  return definition[TASK];
}

const NAME = /^[A-Za-z0-9_.:/-]{1,128}$/;

/** Both forms of options at once, as the implementation sees them. */
interface LooseTaskOptions extends TaskSettings {
  readonly input?: StandardSchemaV1 | undefined;
  readonly run: (input: unknown, ctx: TaskContext) => unknown;
}

function checkOptions(options: LooseTaskOptions): void {
  if (typeof options !== "object" || options === null) {
    throw new BatonError("invalid_argument", `task() needs an object, got ${shown(options)}`);
  }
  const { name, input, run } = options;
  if (typeof name !== "string" || !NAME.test(name)) {
    throw new BatonError(
      "invalid_argument",
      `a task's name is 1 to 128 letters, digits and _ - . : /, got ${shown(name)}`,
    );
  }
  if (typeof run !== "function") {
    throw new BatonError(
      "invalid_argument",
      `task "${name}" needs a function run(input, ctx), got ${shown(run)}`,
    );
  }
  if (input !== undefined && !isStandardSchema(input)) {
    throw new BatonError(
      "invalid_argument",
      `input of task "${name}" must be a Standard Schema (zod 4, valibot, arktype …); ` +
        `a JSON Schema belongs into inputSchema; got ${shown(input)}`,
    );
  }
}
