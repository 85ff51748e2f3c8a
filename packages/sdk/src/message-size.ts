/** How large messages of jobs become, and their bound. */
import { BatonError } from "./errors.ts";
import { SubmitManyRequest, type JobSpec } from "./gen/baton/v1/job.ts";
import { MESSAGE_BYTES_MAX } from "./limits.ts";

/** A bound of the bytes of one job in a message: cheap, because it need not count characters. */
export function jobBytesMost(spec: JobSpec): number {
  const { task, inputContentType, queue, tags, idempotencyKey, uniqueKey, onConflict, retry } =
    spec;
  const names = task.length + inputContentType.length + queue.length + onConflict.length;
  const keys = idempotencyKey.length + uniqueKey.length;
  const policy = (retry?.strategy.length ?? 0) + (retry?.jitter.length ?? 0);
  const tagCharacters = tags.reduce((sum, tag) => sum + tag.length, 0);
  const characters = names + keys + policy + tagCharacters;
  return (
    spec.input.length +
    characters * CHARACTER_BYTES_MAX +
    tags.length * FIELD_BYTES +
    JOB_BYTES_AROUND
  );
}

/** @throws BatonError payload_too_large, with the sizes */
export function checkJobBytes(
  spec: JobSpec,
  details: Readonly<Record<string, unknown>> = {},
): void {
  if (jobBytesMost(spec) <= MESSAGE_BYTES_MAX) return;
  const bytes = exactBytes(spec);
  if (bytes <= MESSAGE_BYTES_MAX) return;
  throw new BatonError(
    "payload_too_large",
    `the job is ${bytes} bytes as a message, at most ${MESSAGE_BYTES_MAX} fit; ` +
      "store large data elsewhere and send where",
    { ...details, bytes, bytesMax: MESSAGE_BYTES_MAX },
  );
}

/**
 * A bulk is accepted whole or not at all, so it cannot be cut into several messages.
 *
 * @throws BatonError payload_too_large, with the sizes
 */
export function checkBulkBytes(jobs: readonly JobSpec[]): void {
  if (jobs.reduce((sum, spec) => sum + jobBytesMost(spec), 0) <= MESSAGE_BYTES_MAX) return;
  // One by one: the message itself might not fit into the memory.
  const bytes = jobs.reduce((sum, spec) => sum + exactBytes(spec), 0);
  if (bytes <= MESSAGE_BYTES_MAX) return;
  throw new BatonError(
    "payload_too_large",
    `one bulk of ${jobs.length} jobs is ${bytes} bytes as a message, at most ${MESSAGE_BYTES_MAX} fit; ` +
      "use several bulks, or submitStream, which sends as many messages as it takes",
    { bytes, bytesMax: MESSAGE_BYTES_MAX },
  );
}

/** UTF-8 of one character of UTF-16. */
const CHARACTER_BYTES_MAX = 3;
/** Tag and length of a field. */
const FIELD_BYTES = 6;
/** Tags, lengths, numbers and instants of a job: fewer than 20 fields of at most 12 bytes. */
const JOB_BYTES_AROUND = 256;

function exactBytes(spec: JobSpec): number {
  return SubmitManyRequest.encode({ jobs: [spec] }).finish().length;
}
