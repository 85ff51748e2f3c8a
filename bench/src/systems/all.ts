import { BATON_SYSTEM } from "./baton.ts";
import { BULLMQ_POSTGRES } from "./bullmq-postgres.ts";
import { BULLMQ_REDIS, BULLMQ_REDIS_ALWAYS } from "./bullmq-redis.ts";
import { GRAPHILE_WORKER } from "./graphile-worker.ts";
import { PG_BOSS } from "./pg-boss.ts";
import type { System } from "./system.ts";

/** In the order of a round. */
export const SYSTEMS: readonly System[] = [
  BATON_SYSTEM,
  GRAPHILE_WORKER,
  PG_BOSS,
  BULLMQ_POSTGRES,
  BULLMQ_REDIS,
  BULLMQ_REDIS_ALWAYS,
];

/** @throws RangeError an unknown name */
export function systemOf(name: string): System {
  const system = SYSTEMS.find((candidate) => candidate.name === name);
  if (system !== undefined) return system;
  const names = SYSTEMS.map((candidate) => candidate.name).join(", ");
  throw new RangeError(`Expected one of ${names}; received ${JSON.stringify(name)}.`);
}
