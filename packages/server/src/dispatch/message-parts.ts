import { BATCH_BYTES_MAX, JOBS_PER_MESSAGE_MAX } from "../domain/limits.ts";

/**
 * Splits jobs, in their order, so that each part makes one answer of the database or one message of bounded size. Their
 * number is bounded, too: tags and options weigh beside the inputs.
 *
 * @param bytesOf size of a job's input; one that is larger than a part makes a part of its own
 */
export function partsOf<Job>(jobs: readonly Job[], bytesOf: (job: Job) => number): Job[][] {
  const parts: Job[][] = [];
  let part: Job[] = [];
  let bytes = 0;
  for (const job of jobs) {
    const jobBytes = bytesOf(job);
    const isFull = part.length === JOBS_PER_MESSAGE_MAX || bytes + jobBytes > BATCH_BYTES_MAX;
    if (part.length === 0 || isFull) {
      part = [];
      bytes = 0;
      parts.push(part);
    }
    part.push(job);
    bytes += jobBytes;
  }
  return parts;
}
