import type { Scenario } from "../scenario.ts";
import { BULK_SUBMIT } from "./bulk-submit.ts";
import { BURN_DOWN } from "./burn-down.ts";
import { END_TO_END } from "./end-to-end.ts";
import { HISTORY } from "./history.ts";
import { IDLE } from "./idle.ts";
import { IDLE_WORKERS } from "./idle-workers.ts";
import { LATENCY } from "./latency.ts";
import { LIMIT } from "./limit.ts";
import { MANY_LANES } from "./many-lanes.ts";
import { MEMORY_OF_SERVER } from "./memory.ts";
import { OPEN_TRANSACTION } from "./open-transaction.ts";
import { PAYLOAD } from "./payload.ts";
import { PROFILE } from "./profile.ts";
import { RETRY_STORM } from "./retry-storm.ts";
import { SINGLE_SUBMIT } from "./single-submit.ts";
import { START } from "./start.ts";

/** In the order in which they run: short ones first. */
export const SCENARIOS: readonly Scenario[] = [
  END_TO_END,
  BURN_DOWN,
  LIMIT,
  BULK_SUBMIT,
  SINGLE_SUBMIT,
  MANY_LANES,
  RETRY_STORM,
  START,
  IDLE,
  LATENCY,
  PAYLOAD,
  PROFILE,
  IDLE_WORKERS,
  HISTORY,
  OPEN_TRANSACTION,
  MEMORY_OF_SERVER,
];
