/** What this server knows of lanes, queues and tasks. The database decides; this is a cache that the hot path reads. */
import { checkName } from "../domain/check-spec.ts";
import { LANES_MAX, QUEUES_MAX, TASKS_MAX } from "../domain/limits.ts";
import type { TaskDefinition } from "../domain/views.ts";
import { AppError } from "../errors.ts";
import type { Db } from "../store/db.ts";
import * as store from "../store/lane.ts";
import { Lane } from "./lane.ts";

/** The one namespace of today; part of every key. */
export const NAMESPACE_ID = 1;
/** Where jobs go that name no queue. */
export const DEFAULT_QUEUE = "default";

export class Lanes {
  readonly #db: Db;
  readonly #byId = new Map<number, Lane>();
  readonly #byName = new Map<string, Map<string, Lane>>();
  readonly #creating = new Map<string, Promise<Lane>>();
  readonly #tasks = new Map<string, TaskDefinition>();
  #paused: ReadonlySet<string> = new Set();
  readonly #onLane: (lane: Lane) => void;

  /** @param onLane called for each lane as it becomes known */
  constructor(db: Db, onLane: (lane: Lane) => void) {
    this.#db = db;
    this.#onLane = onLane;
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
   * @throws AppError resource_exhausted
   */
  ensure(queue: string, task: string): Promise<Lane> {
    const known = this.find(queue, task);
    if (known !== undefined) return Promise.resolve(known);
    const key = `${queue}\n${task}`;
    const creating = this.#creating.get(key);
    if (creating !== undefined) return creating;
    const made = this.#create(queue, task).finally(() => this.#creating.delete(key));
    this.#creating.set(key, made);
    return made;
  }

  /** Makes a queue, if it is new. @throws AppError invalid_argument, resource_exhausted */
  async ensureQueue(name: string): Promise<void> {
    const problem = checkName("queue", name);
    if (problem !== undefined) throw new AppError("invalid_argument", problem.message);
    const { queues } = await store.nameCounts(this.#db, NAMESPACE_ID);
    if (queues >= QUEUES_MAX) throw exhausted("queues", QUEUES_MAX);
    await store.queueCreate(this.#db, NAMESPACE_ID, name);
  }

  /** A task's definition as known here. */
  task(name: string): TaskDefinition | undefined {
    return this.#tasks.get(name);
  }

  /** A task's definition, read when it is not known here. @throws AppError task_not_found */
  async requireTask(name: string): Promise<TaskDefinition> {
    const known = this.#tasks.get(name);
    if (known !== undefined) return known;
    const [row] = await store.taskList(this.#db, NAMESPACE_ID, 1, [name]);
    if (row === undefined) throw unknownTask(name);
    this.#tasks.set(name, row);
    return row;
  }

  /** Reads these definitions anew. */
  async refreshTasks(names: readonly string[]): Promise<void> {
    const rows = await store.taskList(this.#db, NAMESPACE_ID, TASKS_MAX, names);
    for (const row of rows) this.#tasks.set(row.name, row);
  }

  async #create(queue: string, task: string): Promise<Lane> {
    let [row] = await store.laneFind(this.#db, NAMESPACE_ID, queue, task);
    if (row === undefined) {
      const { lanes } = await store.nameCounts(this.#db, NAMESPACE_ID);
      if (lanes >= LANES_MAX) throw exhausted("pairs of queue and task", LANES_MAX);
      await this.ensureQueue(queue);
      await store.laneCreate(this.#db, NAMESPACE_ID, queue, task);
      [row] = await store.laneFind(this.#db, NAMESPACE_ID, queue, task);
    }
    if (row === undefined) throw new Error(`lane ${queue}/${task} vanished after it was made`);
    return this.#know(row);
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

function exhausted(what: string, most: number): AppError {
  return new AppError(
    "resource_exhausted",
    `There are ${most} ${what} already, the most that are kept.`,
  );
}

function unknownTask(name: string): AppError {
  return new AppError(
    "task_not_found",
    `No worker has registered a task ${JSON.stringify(name)} and it has no definition. Start a worker that has it, ` +
      "define it with PUT /api/v1/tasks/{name}, or check its spelling.",
    { task: name },
  );
}
