import { openStage } from "../parties.ts";
import type { Scenario } from "../scenario.ts";
import { SYSTEMS } from "../systems/all.ts";
import { endToEnd, jobsOf } from "../throughput.ts";

const SIZES = [
  { name: "100 B", bytes: 100, share: 1 / 5 },
  { name: "10 KiB", bytes: 10_240, share: 1 / 20 },
  { name: "1 MiB", bytes: 1_048_576, share: 1 / 1_000 },
] as const;
/** Of JSON around the ballast: 1 MiB with it is the largest input that Baton takes by default. */
const ENVELOPE_BYTES = 16;
/** One call carries no more. */
const CALL_BYTES_MAX = 4 * 1_048_576;

export const PAYLOAD: Scenario = {
  name: "payload",
  summary: "end to end with inputs of 100 B, 10 KiB and 1 MiB",
  systems: SYSTEMS,
  async run(turn) {
    const { jobsPerCall, callsAtOnce } = turn.system.bulk;
    for (const { name, bytes, share } of SIZES) {
      await using stage = await openStage(turn);
      const jobs = Math.max(10, Math.ceil(jobsOf(turn) * share));
      const perCall = Math.max(1, Math.min(jobsPerCall, Math.floor(CALL_BYTES_MAX / bytes)));
      const { jobsPerSecond } = await endToEnd(turn, stage, {
        jobs,
        bytes: bytes - ENVELOPE_BYTES,
        bulk: { jobsPerCall: perCall, callsAtOnce },
      });
      turn.record({ name, unit: "jobs/s" }, jobsPerSecond);
    }
  },
};
