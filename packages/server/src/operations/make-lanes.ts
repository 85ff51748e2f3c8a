/** Brings queues and lanes into the tables, as long as there is room. */
import { LANES_MAX, QUEUES_MAX } from "../domain/limits.ts";
import { AppError } from "../errors.ts";
import type { Database, Db } from "../store/db.ts";
import * as store from "../store/lane.ts";
import type { LaneName, LaneRow } from "../store/lane.ts";

/** Why lanes of one call have no room, by {@link laneKey}; empty when all have. */
export type LaneRefusals = ReadonlyMap<string, AppError>;

/** Names a lane in maps. Names have no line breaks. */
export function laneKey({ queue, task }: LaneName): string {
  return `${queue}\n${task}`;
}

/**
 * Makes the lanes of some calls that are new, with their queues, in one transaction. Of a call of which one lane has no
 * room none is made; the calls before have the first choice.
 *
 * @returns all lanes of these names that there are now, and the refusals of each call
 */
export async function makeLanes(
  database: Database,
  namespaceId: number,
  calls: readonly (readonly LaneName[])[],
): Promise<{ readonly rows: readonly LaneRow[]; readonly refusals: readonly LaneRefusals[] }> {
  const names = distinct(calls.flat());
  // Another server made them, as a rule; that needs no turn.
  const found = await store.laneFind(database, namespaceId, names);
  if (found.length === names.length) return { rows: found, refusals: calls.map(() => new Map()) };
  return database.transaction(async (tx) => {
    await store.namespaceLock(tx, namespaceId);
    const { newQueues, newLanes, refusals } = await room(tx, namespaceId, calls);
    if (newQueues.length > 0) await store.queueCreate(tx, namespaceId, newQueues);
    if (newLanes.length > 0) await store.laneCreate(tx, namespaceId, newLanes);
    return { rows: await store.laneFind(tx, namespaceId, names), refusals };
  });
}

/** What {@link makeLanes} would refuse of one call now, without making anything. */
export async function laneRefusals(
  db: Db,
  namespaceId: number,
  names: readonly LaneName[],
): Promise<LaneRefusals> {
  const { refusals } = await room(db, namespaceId, [names]);
  return refusals[0] ?? new Map();
}

/** Makes a queue, if it is new. @throws AppError resource_exhausted */
export async function makeQueue(
  database: Database,
  namespaceId: number,
  name: string,
): Promise<void> {
  const isThere = async (db: Db): Promise<boolean> =>
    (await store.queueFind(db, namespaceId, [name])).length > 0;
  if (await isThere(database)) return;
  await database.transaction(async (tx) => {
    await store.namespaceLock(tx, namespaceId);
    if (await isThere(tx)) return;
    const { queues } = await store.nameCounts(tx, namespaceId);
    if (queues >= QUEUES_MAX) throw noRoomForQueue(name);
    await store.queueCreate(tx, namespaceId, [name]);
  });
}

interface Room {
  readonly newQueues: readonly string[];
  readonly newLanes: readonly LaneName[];
  readonly refusals: readonly LaneRefusals[];
}

/** What is new in some calls and has room, and what has none. Only what is new counts. */
async function room(
  db: Db,
  namespaceId: number,
  calls: readonly (readonly LaneName[])[],
): Promise<Room> {
  const names = distinct(calls.flat());
  const lanes = new Set((await store.laneFind(db, namespaceId, names)).map(laneKey));
  const missing = names.filter((name) => !lanes.has(laneKey(name)));
  if (missing.length === 0) {
    return { newQueues: [], newLanes: [], refusals: calls.map(() => new Map()) };
  }
  const counts = await store.nameCounts(db, namespaceId);
  const ofMissing = [...new Set(missing.map((name) => name.queue))];
  const queues = new Set(await store.queueFind(db, namespaceId, ofMissing));
  const newQueues: string[] = [];
  const newLanes: LaneName[] = [];
  const refusals = calls.map((call) => {
    const own = newOf(call, {
      lanes,
      queues,
      lanesLeft: LANES_MAX - counts.lanes - newLanes.length,
      queuesLeft: QUEUES_MAX - counts.queues - newQueues.length,
    });
    if (own.refusals.size > 0) return own.refusals;
    newQueues.push(...own.queues);
    newLanes.push(...own.lanes);
    for (const queue of own.queues) queues.add(queue);
    for (const lane of own.lanes) lanes.add(laneKey(lane));
    return own.refusals;
  });
  return { newQueues, newLanes, refusals };
}

interface Known {
  readonly lanes: ReadonlySet<string>;
  readonly queues: ReadonlySet<string>;
  readonly lanesLeft: number;
  readonly queuesLeft: number;
}

/** What is new in one call, and what of that has no room. */
function newOf(
  call: readonly LaneName[],
  known: Known,
): {
  readonly queues: ReadonlySet<string>;
  readonly lanes: readonly LaneName[];
  readonly refusals: LaneRefusals;
} {
  const queues = new Set<string>();
  const lanes: LaneName[] = [];
  const refusals = new Map<string, AppError>();
  for (const name of distinct(call)) {
    const key = laneKey(name);
    if (known.lanes.has(key)) continue;
    const isNewQueue = !known.queues.has(name.queue) && !queues.has(name.queue);
    if (isNewQueue && queues.size >= known.queuesLeft) {
      refusals.set(key, noRoomForQueue(name.queue));
    } else if (lanes.length >= known.lanesLeft) {
      refusals.set(key, noRoomForLane(name));
    } else {
      if (isNewQueue) queues.add(name.queue);
      lanes.push(name);
    }
  }
  return { queues, lanes, refusals };
}

function distinct(names: readonly LaneName[]): readonly LaneName[] {
  return [...new Map(names.map((name) => [laneKey(name), name])).values()];
}

function noRoomForQueue(queue: string): AppError {
  return new AppError(
    "resource_exhausted",
    `There is no room for the new queue ${JSON.stringify(queue)}: ${QUEUES_MAX} queues are the most that are kept.`,
    { queue },
  );
}

function noRoomForLane({ queue, task }: LaneName): AppError {
  return new AppError(
    "resource_exhausted",
    `There is no room for the first job of task ${JSON.stringify(task)} in queue ${JSON.stringify(queue)}: ` +
      `${LANES_MAX} pairs of queue and task are the most that are kept.`,
    { queue, task },
  );
}
