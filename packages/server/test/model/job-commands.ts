/** Everything that may happen to jobs, and how often. */
import type fc from "fast-check";

import * as attempts from "./attempt-commands.ts";
import * as changes from "./change-commands.ts";
import type { Command } from "./job-command.ts";
import * as submits from "./submit-commands.ts";

/** What moves jobs forward comes more often than what gets in the way. */
export const jobCommands: readonly fc.Arbitrary<Command>[] = [
  submits.submitPlain,
  submits.submitPlain,
  submits.submitPlain,
  submits.submitPlain,
  submits.submitKeyed,
  submits.submitKeyed,
  submits.submitKeyed,
  attempts.lease,
  attempts.lease,
  attempts.lease,
  attempts.lease,
  attempts.end,
  attempts.end,
  attempts.end,
  attempts.end,
  attempts.end,
  attempts.endStale,
  changes.cancel,
  changes.cancelLate,
  changes.cancelMany,
  changes.redrive,
  changes.redriveMany,
  changes.pause,
  changes.resume,
  changes.wait,
  changes.promote,
  changes.promote,
  changes.expire,
  attempts.detach,
  attempts.attach,
  attempts.reap,
  attempts.reapGone,
  attempts.tidy,
  attempts.release,
];
