/** How the command ends, for scripts. docs/cli.md and `baton --help` list the table. */

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  dead: 4,
  cancelled: 5,
  notFound: 6,
  conflict: 7,
  timedOut: 8,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What each code means, in the order of the table. */
export const EXIT_MEANINGS: readonly (readonly [ExitCode, string])[] = [
  [EXIT.ok, "done"],
  [EXIT.failed, "the operation failed"],
  [EXIT.usage, "wrong usage, input or settings; nothing was done"],
  [EXIT.unreachable, "no Baton server can be reached"],
  [EXIT.dead, "the job that was waited for ended dead"],
  [EXIT.cancelled, "the job that was waited for was cancelled"],
  [EXIT.notFound, "there is no such job, task or queue"],
  [EXIT.conflict, "the state of the job, or another job, does not allow it"],
  [EXIT.timedOut, "no answer, or no end of the job, in the time given"],
  [EXIT.interrupted, "interrupted by Ctrl-C"],
];

const BY_ERROR_CODE: ReadonlyMap<string, ExitCode> = new Map<string, ExitCode>([
  ["connection_failed", EXIT.unreachable],
  ["route_not_found", EXIT.unreachable],
  ["job_not_found", EXIT.notFound],
  ["task_not_found", EXIT.notFound],
  ["queue_not_found", EXIT.notFound],
  ["idempotency_conflict", EXIT.conflict],
  ["unique_conflict", EXIT.conflict],
  ["job_finished", EXIT.conflict],
  ["job_not_dead", EXIT.conflict],
  ["deadline_exceeded", EXIT.timedOut],
  ["invalid_usage", EXIT.usage],
  ["file_unreadable", EXIT.usage],
  ["invalid_argument", EXIT.usage],
  ["invalid_input", EXIT.usage],
  ["invalid_cursor", EXIT.usage],
  ["invalid_config", EXIT.usage],
  ["malformed_json", EXIT.usage],
  ["bulk_rejected", EXIT.usage],
  ["payload_too_large", EXIT.usage],
]);

/** The exit code of an error with this code; 1 for codes that have none of their own. */
export function exitCodeOf(errorCode: string): ExitCode {
  return BY_ERROR_CODE.get(errorCode) ?? EXIT.failed;
}
