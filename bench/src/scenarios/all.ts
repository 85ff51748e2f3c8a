import type { Scenario } from "../scenario.ts";
import { BURN_DOWN } from "./burn-down.ts";
import { END_TO_END } from "./end-to-end.ts";

/** In the order in which they run: short ones first. */
export const SCENARIOS: readonly Scenario[] = [END_TO_END, BURN_DOWN];
