/** The bars that Baton's speed is held to, and whether a run reached them. Information: a bar fails nothing. */
import { BATON, medianOf, shown, type Sample } from "./figures.ts";

interface Bar {
  readonly name: string;
  /** The least or the most that is wanted. */
  readonly bound: { readonly least: number } | { readonly most: number };
  readonly unit: "×" | "ms" | "MiB" | "MiB/h" | "% of a core" | "s";
  /** What was reached; `undefined` when the run did not measure it. */
  readonly reached: (samples: readonly Sample[]) => number | undefined;
}

/** Ratio of two rows of one figure. */
function ratio(scenario: string, name: string, row: string, baton = BATON): Bar["reached"] {
  return (samples) => {
    const mine = medianOf(samples, { scenario, figure: name, row: baton });
    const other = medianOf(samples, { scenario, figure: name, row });
    return mine === undefined || other === undefined ? undefined : mine / other;
  };
}

function measured(scenario: string, name: string, row = BATON): Bar["reached"] {
  return (samples) => medianOf(samples, { scenario, figure: name, row });
}

const SPEED = "throughput";

/** Names of rows and figures are those that scenarios record. */
export const BARS: readonly Bar[] = [
  {
    name: "end to end to Graphile Worker",
    bound: { least: 2.5 },
    unit: "×",
    reached: ratio("end-to-end", SPEED, "Graphile Worker"),
  },
  {
    name: "end to end to BullMQ on Redis, everysec",
    bound: { least: 4 },
    unit: "×",
    reached: ratio("end-to-end", SPEED, "BullMQ, Redis everysec"),
  },
  {
    name: "end to end to pg-boss",
    bound: { least: 3 },
    unit: "×",
    reached: ratio("end-to-end", SPEED, "pg-boss"),
  },
  {
    name: "end to end to BullMQ on PostgreSQL",
    bound: { least: 3 },
    unit: "×",
    reached: ratio("end-to-end", SPEED, "BullMQ, PostgreSQL"),
  },
  {
    name: "burn-down to Graphile Worker in process",
    bound: { least: 1.5 },
    unit: "×",
    reached: ratio("burn-down", SPEED, "Graphile Worker"),
  },
  {
    name: "end to end to the cheapest statements",
    bound: { least: 0.5 },
    unit: "×",
    reached: ratio("limit", SPEED, "the cheapest statements"),
  },
  {
    name: "pick-up at 1,000 jobs/s, p50",
    bound: { most: 3 },
    unit: "ms",
    reached: measured("latency", "1,000/s, accepted to start, p50"),
  },
  {
    name: "pick-up at 1,000 jobs/s, p99",
    bound: { most: 15 },
    unit: "ms",
    reached: measured("latency", "1,000/s, accepted to start, p99"),
  },
  {
    name: "pick-up at 1,000 jobs/s, p50 to Graphile Worker",
    bound: { most: 1 },
    unit: "×",
    reached: ratio("latency", "1,000/s, accepted to start, p50", "Graphile Worker"),
  },
  {
    name: "single submits over gRPC, 256 at a time, to an empty method",
    bound: { least: 0.8 },
    unit: "×",
    reached: ratio(
      "single-submit",
      "256 at a time",
      "Baton, empty gRPC method",
      "Baton, gRPC without the SDK",
    ),
  },
  {
    name: "1 M queued behind 10 M finished to an empty database",
    bound: { least: 0.9 },
    unit: "×",
    reached: ratio("history", SPEED, "Baton, empty database"),
  },
  {
    name: "speed while a transaction is held open",
    bound: { least: 0.8 },
    unit: "×",
    reached: ratio("open-transaction", SPEED, "Baton, before", "Baton, during"),
  },
  {
    name: "speed 60 s after its end",
    bound: { least: 0.95 },
    unit: "×",
    reached: ratio("open-transaction", SPEED, "Baton, before", "Baton, 60 s after"),
  },
  {
    name: "server memory with 1 M queued",
    bound: { most: 250 },
    unit: "MiB",
    reached: measured("memory", "server memory with all jobs queued"),
  },
  {
    name: "server memory under load rises by",
    bound: { most: 30 },
    unit: "MiB/h",
    reached: measured("memory", "rise of server memory under load"),
  },
  {
    name: "idle server and worker",
    bound: { most: 1 },
    unit: "% of a core",
    reached: measured("idle", "server and worker"),
  },
  {
    name: "idle with 1,000 workers",
    bound: { most: 5 },
    unit: "% of a core",
    reached: measured("idle-workers", "server and workers"),
  },
  {
    name: "start on an existing data directory until /ready",
    bound: { most: 2 },
    unit: "s",
    reached: measured("start", "until /ready answers"),
  },
];

/** A line for each bar that was measured. */
export function barLines(samples: readonly Sample[]): readonly string[] {
  return BARS.flatMap(({ name, bound, unit, reached }) => {
    const value = reached(samples);
    if (value === undefined) return [];
    const isReached = "least" in bound ? value >= bound.least : value <= bound.most;
    const wanted = "least" in bound ? `≥ ${bound.least}` : `≤ ${bound.most}`;
    const word = isReached ? "reached    " : "NOT reached";
    return [`${word}  ${name}: ${shown(value)} ${unit} (bar: ${wanted} ${unit})`];
  });
}
