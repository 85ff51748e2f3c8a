/** Brings jobs into the table, with the conflicts of their keys. */
import type { NewJob } from "../store/job-enqueue.ts";
import * as store from "../store/job-enqueue.ts";
import type { Database, Db } from "../store/db.ts";

/** A job with its keys, on its way in. */
export interface EnqueueItem {
  readonly job: NewJob;
  readonly idempotency: { readonly key: string; readonly fingerprint: string } | undefined;
  readonly onConflict: "return_existing" | "reject";
}

export type EnqueueResult =
  | { readonly kind: "accepted"; readonly state: string }
  | { readonly kind: "duplicate"; readonly jobId: string; readonly state: string | undefined }
  | { readonly kind: "idempotency_conflict"; readonly jobId: string }
  | { readonly kind: "unique_conflict"; readonly jobId: string };

/** Inserts jobs without keys. @returns the state of each, in order */
export async function enqueuePlain(db: Db, jobs: readonly NewJob[]): Promise<readonly string[]> {
  const expected = jobs.map((job) => (job.workerId === undefined ? "queued" : "running"));
  if (jobs.every((job) => job.extra === undefined)) {
    const leased = jobs.filter((job) => job.workerId !== undefined);
    const queued = jobs.filter((job) => job.workerId === undefined);
    if (await store.jobInsertPlain(db, leased, queued)) return expected;
  }
  const surprising = await store.jobInsert(db, jobs, false);
  const byId = new Map(surprising.map((row) => [row.id, row.state]));
  return jobs.map((job, index) => byId.get(job.id) ?? expected[index] ?? "queued");
}

/**
 * Inserts jobs without keys once more, after a try whose answer was lost: those that the try did insert, and that may
 * have run meanwhile, are left as they are.
 *
 * @returns the state of each, in order
 */
export async function enqueueAgain(
  database: Database,
  jobs: readonly NewJob[],
): Promise<readonly string[]> {
  return database.transaction(async (tx) => {
    const present = await statesOf(tx, jobs);
    const rows = await store.jobInsert(
      tx,
      jobs.filter((job) => !present.has(job.id)),
      true,
    );
    for (const row of rows) present.set(row.id, row.state);
    return jobs.map((job) => present.get(job.id) ?? "queued");
  });
}

export interface KeyedOptions {
  /** How long idempotency keys are kept, in milliseconds. */
  readonly keepMs: number;
  readonly isAllOrNone: boolean;
  /** Whether this follows a try whose answer was lost. */
  readonly isRepeat: boolean;
}

/**
 * Inserts jobs with keys, in one transaction of which nothing remains when `isAllOrNone` and one of them is refused.
 *
 * @param items distinct idempotency keys and distinct unique keys
 * @returns one result an item, in order
 */
export async function enqueueKeyed(
  database: Database,
  namespaceId: number,
  items: readonly EnqueueItem[],
  options: KeyedOptions,
): Promise<readonly EnqueueResult[]> {
  try {
    return await database.transaction(async (tx) => {
      const results = await insertKeyed(tx, namespaceId, items, options);
      if (options.isAllOrNone && results.some(isRefusal)) throw new Refused(results);
      return results;
    });
  } catch (error) {
    if (error instanceof Refused) return error.results;
    throw error;
  }
}

/** Whether a result means that the job was not accepted. */
export function isRefusal(result: EnqueueResult): boolean {
  return result.kind === "idempotency_conflict" || result.kind === "unique_conflict";
}

/** Carries results out of a transaction that must be rolled back. */
class Refused extends Error {
  readonly results: readonly EnqueueResult[];

  constructor(results: readonly EnqueueResult[]) {
    super("refused");
    this.results = results;
  }
}

async function insertKeyed(
  tx: Db,
  namespaceId: number,
  items: readonly EnqueueItem[],
  options: KeyedOptions,
): Promise<readonly EnqueueResult[]> {
  const results = new Map<string, EnqueueResult>();
  const present = options.isRepeat
    ? await statesOf(
        tx,
        items.map(({ job }) => job),
      )
    : [];
  for (const [id, state] of present) results.set(id, { kind: "accepted", state });

  const held = await claimKeys(tx, namespaceId, items, options.keepMs);
  for (const { job, idempotency } of items) {
    const holder = idempotency && held.get(idempotency.key);
    if (holder === undefined || holder.job_id === job.id) continue;
    results.set(
      job.id,
      holder.fingerprint === idempotency?.fingerprint
        ? { kind: "duplicate", jobId: holder.job_id, state: undefined }
        : { kind: "idempotency_conflict", jobId: holder.job_id },
    );
  }

  const fresh = items.filter(({ job }) => !results.has(job.id));
  await insertFresh(tx, fresh, results);
  // Of those refused the holder may have ended between the two statements: then the key is free by now.
  await insertFresh(
    tx,
    fresh.filter(({ job }) => !results.has(job.id)),
    results,
  );
  for (const { job } of fresh) {
    if (!results.has(job.id)) results.set(job.id, { kind: "unique_conflict", jobId: "" });
  }

  // A claim must not outlive the job that it was made for: a repeat would be answered with a job that never was.
  const released = fresh.filter(
    ({ job, idempotency }) => idempotency !== undefined && results.get(job.id)?.kind !== "accepted",
  );
  if (released.length > 0) {
    await store.idempotencyRelease(
      tx,
      namespaceId,
      released.flatMap(({ job, idempotency }) =>
        idempotency === undefined ? [] : [{ key: idempotency.key, jobId: job.id }],
      ),
    );
  }
  return withStates(
    tx,
    items.map(({ job }) => results.get(job.id) ?? missing(job.id)),
  );
}

async function insertFresh(
  tx: Db,
  items: readonly EnqueueItem[],
  results: Map<string, EnqueueResult>,
): Promise<void> {
  if (items.length === 0) return;
  const rows = await store.jobInsert(
    tx,
    items.map(({ job }) => job),
    true,
  );
  for (const row of rows) results.set(row.id, { kind: "accepted", state: row.state });
  await resolveUnique(
    tx,
    items.filter(({ job }) => !results.has(job.id)),
    results,
  );
}

/** Duplicates say in what state the earlier job is. */
async function withStates(
  tx: Db,
  results: readonly EnqueueResult[],
): Promise<readonly EnqueueResult[]> {
  const ids = results.flatMap((result) => (result.kind === "duplicate" ? [result.jobId] : []));
  if (ids.length === 0) return results;
  const states = new Map((await store.jobPresent(tx, ids)).map((row) => [row.id, row.state]));
  return results.map((result) =>
    result.kind === "duplicate" ? { ...result, state: states.get(result.jobId) } : result,
  );
}

async function claimKeys(
  tx: Db,
  namespaceId: number,
  items: readonly EnqueueItem[],
  keepMs: number,
): Promise<ReadonlyMap<string, store.HeldKey>> {
  const claims = items
    .flatMap(({ job, idempotency }) => (idempotency ? [{ ...idempotency, jobId: job.id }] : []))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  if (claims.length === 0) return new Map();
  const won = await store.idempotencyClaim(tx, namespaceId, claims, keepMs);
  const held = new Map(won.map((row) => [row.key, row]));
  const lost = claims.map((claim) => claim.key).filter((key) => !held.has(key));
  if (lost.length > 0) {
    for (const row of await store.idempotencyHeld(tx, namespaceId, lost)) held.set(row.key, row);
  }
  return held;
}

async function resolveUnique(
  tx: Db,
  refused: readonly EnqueueItem[],
  results: Map<string, EnqueueResult>,
): Promise<void> {
  if (refused.length === 0) return;
  const keys = refused.map(({ job }) => job.extra?.uniqueKey ?? "");
  const holders = new Map(
    (await store.jobByUniqueKey(tx, keys)).map((row) => [row.unique_key, row]),
  );
  for (const { job, onConflict } of refused) {
    const holder = holders.get(job.extra?.uniqueKey ?? "");
    if (holder === undefined) continue;
    if (onConflict === "reject") {
      results.set(job.id, { kind: "unique_conflict", jobId: holder.id });
    } else {
      results.set(job.id, { kind: "duplicate", jobId: holder.id, state: holder.state });
    }
  }
}

async function statesOf(tx: Db, jobs: readonly NewJob[]): Promise<Map<string, string>> {
  const rows = await store.jobPresent(
    tx,
    jobs.map((job) => job.id),
  );
  return new Map(rows.map((row) => [row.id, row.state]));
}

function missing(jobId: string): never {
  throw new Error(`job ${jobId} was neither inserted nor refused`);
}
