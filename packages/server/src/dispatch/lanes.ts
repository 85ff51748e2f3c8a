/** What this server knows of lanes, queues and tasks. The database decides; this is a cache that the hot path reads. */
import { checkName } from "../domain/check-spec.ts";
import { BULK_JOBS_MAX, INTAKE_PENDING_MAX, LANES_MAX, TASKS_MAX } from "../domain/limits.ts";
import type { TaskDefinition } from "../domain/views.ts";
import { AppError } from "../errors.ts";
import {
  laneKey,
  laneRefusals,
  makeLanes,
  makeQueue,
  type LaneRefusals,
} from "../operations/make-lanes.ts";
import type { Database } from "../store/db.ts";
import * as store from "../store/lane.ts";
import { Batcher } from "./batcher.ts";
import { Lane } from "./lane.ts";
import { patiently } from "./patience.ts";

/** The one namespace of today; part of every key. */
export const NAMESPACE_ID = 1;
/** Where jobs go that name no queue. */
export const DEFAULT_QUEUE = "default";

/** Somebody who waits for new lanes. */
interface MakeCall {
  readonly names: readonly store.LaneName[];
  readonly resolve: (refusals: LaneRefusals) => void;
  readonly reject: (error: unknown) => void;
}

export class Lanes {
  readonly #db: Database;
  readonly #byId = new Map<number, Lane>();
  readonly #byName = new Map<string, Map<string, Lane>>();
  /** One transaction at a time: those who ask for the same new lanes in one moment make them once. */
  readonly #making: Batcher<MakeCall>;
  readonly #tasks = new Map<string, TaskDefinition>();
  #paused: ReadonlySet<string> = new Set();
  readonly #onLane: (lane: Lane) => void;

  /** @param onLane called for each lane as it becomes known */
  constructor(db: Database, onLane: (lane: Lane) => void) {
    this.#db = db;
    this.#onLane = onLane;
    this.#making = new Batcher({
      batchRowsMax: BULK_JOBS_MAX,
      batchBytesMax: Number.POSITIVE_INFINITY,
      pendingRowsMax: INTAKE_PENDING_MAX,
      pendingBytesMax: Number.POSITIVE_INFINITY,
      what: "calls with new queues or tasks",
      writesMax: 1,
      write: (calls) => this.#make(calls),
      // Each call is told itself.
      onError: () => undefined,
    });
  }

  /** Reads everything; again later to learn what other servers changed. */
  async load(): Promise<void> {
    const [lanes, paused, tasks] = await Promise.all([
      store.laneList(this.#db, NAMESPACE_ID, LANES_MAX),
      store.queuePaused(this.#db, NAMESPACE_ID),
      store.taskList(this.#db, NAMESPACE_ID, TASKS_MAX),
    ]);
    for (const row of lanes) this.#know(row);
    this.#setPaused(paused);
    for (const task of tasks) this.#tasks.set(task.name, task);
  }

  /** Reads which queues are paused. Jobs of those that were resumed can be leased from now on. */
  async loadPaused(): Promise<void> {
    this.#setPaused(await store.queuePaused(this.#db, NAMESPACE_ID));
  }

  all(): IterableIterator<Lane> {
    return this.#byId.values();
  }

  byId(id: number): Lane | undefined {
    return this.#byId.get(id);
  }

  /** A lane that is known already; the hot path's way. */
  find(queue: string, task: string): Lane | undefined {
    return this.#byName.get(queue)?.get(task);
  }

  /** The lanes of these ids, read when they are new here. */
  async resolve(ids: readonly number[]): Promise<readonly Lane[]> {
    const unknown = ids.filter((id) => !this.#byId.has(id));
    if (unknown.length > 0) {
      for (const row of await store.laneGet(this.#db, unknown)) this.#know(row);
    }
    return ids.flatMap((id) => this.#byId.get(id) ?? []);
  }

  /**
   * The lane of a queue and a task, made when it is new.
   *
   * @throws AppError resource_exhausted, unavailable
   */
  async ensure(queue: string, task: string): Promise<Lane> {
    const [refusal] = await this.ensureAll([{ queue, task }]);
    if (refusal !== undefined) throw refusal;
    const lane = this.find(queue, task);
    if (lane === undefined) throw new Error(`lane ${queue}/${task} vanished after it was made`);
    return lane;
  }

  /**
   * Makes those of these lanes that are new: all of them, or none when one of them has no room.
   *
   * @returns for each name, in order, why it has no room; when none has a reason, all lanes are known here
   * @throws AppError resource_exhausted when too many calls wait, unavailable
   */
  async ensureAll(names: readonly store.LaneName[]): Promise<readonly (AppError | undefined)[]> {
    const unknown = this.#unknown(names);
    if (unknown.length === 0) return [];
    const refusals = await new Promise<LaneRefusals>((resolve, reject) => {
      this.#making.add({ names: unknown, resolve, reject }, unknown.length);
    });
    return names.map((name) => refusals.get(laneKey(name)));
  }

  /** The same, without making any. @throws AppError unavailable */
  async refusals(names: readonly store.LaneName[]): Promise<readonly (AppError | undefined)[]> {
    const unknown = this.#unknown(names);
    if (unknown.length === 0) return [];
    const refusals = await patiently(this.#db, () => laneRefusals(this.#db, NAMESPACE_ID, unknown));
    return names.map((name) => refusals.get(laneKey(name)));
  }

  /** Makes a queue, if it is new. @throws AppError invalid_argument, resource_exhausted, unavailable */
  async ensureQueue(name: string): Promise<void> {
    const problem = checkName("queue", name);
    if (problem !== undefined) {
      throw new AppError("invalid_argument", problem.message, { field: problem.field });
    }
    await patiently(this.#db, () => makeQueue(this.#db, NAMESPACE_ID, name));
  }

  /** A task's definition as known here. */
  task(name: string): TaskDefinition | undefined {
    return this.#tasks.get(name);
  }

  /**
   * Reads the definitions of those tasks that are not known here; {@link task} gives them.
   *
   * @returns why tasks are not to be had, by name
   * @throws AppError unavailable
   */
  async requireTasks(names: ReadonlySet<string>): Promise<ReadonlyMap<string, AppError>> {
    const unknown = [...names].filter((name) => !this.#tasks.has(name));
    if (unknown.length > 0) await patiently(this.#db, () => this.refreshTasks(unknown));
    return new Map(
      unknown.filter((name) => !this.#tasks.has(name)).map((name) => [name, unknownTask(name)]),
    );
  }

  /** Reads these definitions anew. */
  async refreshTasks(names: readonly string[]): Promise<void> {
    const rows = await store.taskList(this.#db, NAMESPACE_ID, TASKS_MAX, names);
    for (const row of rows) this.#tasks.set(row.name, row);
  }

  async #make(calls: readonly MakeCall[]): Promise<void> {
    try {
      const { rows, refusals } = await patiently(this.#db, () =>
        makeLanes(
          this.#db,
          NAMESPACE_ID,
          calls.map((call) => call.names),
        ),
      );
      for (const row of rows) this.#know(row);
      calls.forEach((call, index) => call.resolve(refusals[index] ?? new Map()));
    } catch (error) {
      for (const call of calls) call.reject(error);
    }
  }

  #unknown(names: readonly store.LaneName[]): readonly store.LaneName[] {
    const unknown = names.filter(({ queue, task }) => this.find(queue, task) === undefined);
    return [...new Map(unknown.map((name) => [laneKey(name), name])).values()];
  }

  #know(row: store.LaneRow): Lane {
    const known = this.#byId.get(row.id);
    if (known !== undefined) return known;
    const lane = new Lane(row);
    lane.setPaused(this.#paused.has(lane.queue));
    this.#byId.set(lane.id, lane);
    const tasks = this.#byName.get(lane.queue) ?? new Map<string, Lane>();
    this.#byName.set(lane.queue, tasks.set(lane.task, lane));
    this.#onLane(lane);
    return lane;
  }

  #setPaused(names: readonly string[]): void {
    this.#paused = new Set(names);
    for (const lane of this.#byId.values()) lane.setPaused(this.#paused.has(lane.queue));
  }
}

function unknownTask(name: string): AppError {
  return new AppError(
    "task_not_found",
    `No worker has registered a task ${JSON.stringify(name)} and it has no definition. Start a worker that has it, ` +
      "define it with PUT /api/v1/tasks/{name}, or check its spelling.",
    { task: name },
  );
}
