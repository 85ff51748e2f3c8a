/** Offset paging, as proto.MasterService wants it, over cursors. */
import type { JobState } from "../../domain/job.ts";
import { LIST_LIMIT_MAX, MESSAGE_BYTES_MAX } from "../../domain/limits.ts";
import type { JobView } from "../../domain/views.ts";
import { AppError } from "../../errors.ts";
import type { Operations } from "../operations.ts";

/** Skipping reads what it skips, so a far offset costs the database as much as all pages before it. */
const OFFSET_MAX = 100_000;
/** As many as a client of this service asks for to count its jobs. */
const LIMIT_MAX = 10_000;

export interface OffsetPage {
  readonly jobs: readonly JobView[];
  /** Jobs known to match: those skipped, those here, and one more when the list goes on. */
  readonly seenCount: number;
}

/**
 * Jobs from an offset on, newest first, with payloads.
 *
 * @param states undefined: all; an empty list matches nothing
 * @throws AppError invalid_argument for an offset or a limit out of range; resource_exhausted when the payloads are more
 *   than one message takes
 */
export async function jobsAtOffset(
  operations: Pick<Operations, "jobList">,
  states: readonly JobState[] | undefined,
  range: { readonly limit: number; readonly offset: number },
  limitDefault: number,
): Promise<OffsetPage> {
  checkRange("offset", range.offset, OFFSET_MAX, "Narrow the list by status instead.");
  checkRange("limit", range.limit, LIMIT_MAX, "Ask for several pages.");
  if (states?.length === 0) return { jobs: [], seenCount: 0 };
  const filter = { states };

  let cursor: string | undefined;
  let skippedCount = 0;
  while (skippedCount < range.offset) {
    const limit = Math.min(LIST_LIMIT_MAX, range.offset - skippedCount);
    const page = await operations.jobList({ filter, limit, cursor });
    skippedCount += page.items.length;
    cursor = page.nextCursor;
    if (cursor === undefined) return { jobs: [], seenCount: skippedCount };
  }

  const wantedCount = range.limit === 0 ? limitDefault : range.limit;
  const jobs: JobView[] = [];
  let payloadCharacters = 0;
  do {
    const limit = Math.min(LIST_LIMIT_MAX, wantedCount - jobs.length);
    const page = await operations.jobList({ filter, limit, cursor, includePayloads: true });
    jobs.push(...page.items);
    cursor = page.nextCursor;
    payloadCharacters += page.items.reduce((sum, job) => sum + charactersOf(job), 0);
    if (payloadCharacters > MESSAGE_BYTES_MAX) throw tooLarge(jobs.length);
  } while (cursor !== undefined && jobs.length < wantedCount);
  return { jobs, seenCount: skippedCount + jobs.length + (cursor === undefined ? 0 : 1) };
}

/**
 * How many jobs have a status: counted up to 10,000 for pending, running and failed, for the others and beyond that at
 * least as many as were seen.
 */
export async function jobTotal(
  operations: Pick<Operations, "jobCounts">,
  statusFilter: string,
  seenCount: number,
): Promise<number> {
  const counts = await operations.jobCounts();
  switch (statusFilter) {
    case "pending":
      return Math.max(seenCount, counts.pending);
    case "running":
      return Math.max(seenCount, counts.running);
    case "failed":
      return Math.max(seenCount, counts.dead);
    case "":
      return Math.max(seenCount, counts.pending + counts.running + counts.dead);
    default:
      return seenCount;
  }
}

function charactersOf(job: JobView): number {
  return (job.input?.length ?? 0) + (job.result?.length ?? 0);
}

function tooLarge(jobCount: number): AppError {
  return new AppError(
    "resource_exhausted",
    `The payloads of ${jobCount} jobs are more than the ${MESSAGE_BYTES_MAX} bytes of one message. Ask for fewer jobs.`,
    { bytesMax: MESSAGE_BYTES_MAX },
  );
}

function checkRange(field: string, value: number, most: number, advice: string): void {
  if (value >= 0 && value <= most) return;
  throw new AppError(
    "invalid_argument",
    `${field} must be a whole number from 0 to ${most}; received ${value}. ${advice}`,
    { field },
  );
}
