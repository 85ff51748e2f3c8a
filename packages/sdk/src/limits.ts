/** Every bound of this package, with its unit and its reason. The server's own bounds are in docs/protocol.md. */

/** A unary call, retries included. Above the 20 s for which a server waits for its database. */
export const CALL_TIMEOUT_MS_DEFAULT = 30_000;
/** A call whose server cannot be reached at all is tried for so long: the length of a restart. */
export const CONNECT_TIMEOUT_MS_DEFAULT = 10_000;
/** While a call is open and nothing comes, the connection is pinged so often, and counts as dead after so long. */
export const KEEPALIVE_MS = 20_000;
export const KEEPALIVE_TIMEOUT_MS = 10_000;
/** A watch goes on looking for its server for so long after contact was lost. */
export const WATCH_OUTAGE_MS_MAX = 5 * 60_000;
/** Jobs in one message of a submit stream. */
export const STREAM_BATCH_JOBS_MAX = 1_000;
/** Bytes of one message of a submit stream; a single larger job travels alone. */
export const STREAM_BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** A message between client and server; the server takes no larger one by default. */
export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
/** Jobs on one page of an iteration. */
export const PAGE_JOBS = 200;

/** Until a server has named its own limit, in Welcome. */
export const RESULT_BYTES_MAX_DEFAULT = 1024 * 1024;
/** One progress value. */
export const PROGRESS_BYTES_MAX = 16 * 1024;
/** Progress goes up at most so often; the latest value wins. */
export const PROGRESS_INTERVAL_MS = 100;
/** One log message, and the fields beside it. */
export const LOG_MESSAGE_BYTES_MAX = 16 * 1024;
export const LOG_FIELDS_BYTES_MAX = 16 * 1024;
/**
 * Log lines waiting in a worker for its stream. An attempt may hold as much as is free, so one alone gets half of it:
 * the 10,000 lines that a server keeps of an attempt. Beyond it lines are counted instead of kept.
 */
export const LOG_LINES_WAITING_MAX = 20_000;
export const LOG_BYTES_WAITING_MAX = 32 * 1024 * 1024;
/** Log lines and bytes in one message. */
export const LOG_BATCH_LINES_MAX = 1_000;
export const LOG_BATCH_BYTES_MAX = 1024 * 1024;
/** Outcomes in one message, and bytes of their results, messages and stacks. */
export const OUTCOME_BATCH_MAX = 1_000;
export const OUTCOME_BATCH_BYTES_MAX = 4 * 1024 * 1024;
/**
 * Messages of outcomes without acknowledgement; what comes meanwhile forms the next, larger one. A server stops reading
 * the stream at 64, and then heartbeats would wait behind outcomes.
 */
export const OUTCOME_MESSAGES_MAX = 16;
/** Outcomes that wait for their acknowledgement; beyond it no further job starts. */
export const OUTCOMES_WAITING_MAX = 10_000;
export const OUTCOME_BYTES_WAITING_MAX = 64 * 1024 * 1024;
/** Text of an error as kept with an attempt. */
export const ERROR_MESSAGE_CHARACTERS_MAX = 8_192;
export const ERROR_STACK_CHARACTERS_MAX = 16_384;
export const ERROR_CODE_CHARACTERS_MAX = 128;
/** Longest delay of RetryAfter and Snooze: ten years, as for a job's start. */
export const DELAY_MS_MAX = 10 * 365 * 24 * 3_600_000;

export const WORKER_SLOTS_DEFAULT = 10;
export const WORKER_SLOTS_MAX = 10_000;
export const WORKER_PREFETCH_MAX = 10_000;
export const WORKER_LEASE_MS_DEFAULT = 7_000;
export const WORKER_LEASE_MS_MIN = 2_000;
export const WORKER_LEASE_MS_MAX = 600_000;
/** A server that has accepted a stream must welcome the worker within so long. */
export const WELCOME_TIMEOUT_MS = 10_000;
/** The stream counts as dead when so many heartbeats in a row are unanswered: a quarter of the lease is left then. */
export const SILENT_HEARTBEATS_MAX = 2;
/** With a lease of at most so long, heartbeats notice a dead connection about as soon as pings do: none are sent. */
export const PINGLESS_LEASE_MS_MAX = 15_000;
/** A stream that stood for less counts as one more failure, or a server that ends each at once would be hammered. */
export const HEALTHY_SESSION_MS = 1_000;
/** Pause before the first reconnect is uniform between 0 and this; then it doubles. */
export const RECONNECT_BASE_MS = 200;
/** Longest pause during the first minute, so that an outage of seconds is bridged within a lease. */
export const RECONNECT_MAX_MS = 2_000;
export const RECONNECT_PATIENT_AFTER_MS = 60_000;
/** Longest pause after that, so that a fleet does not hammer a server that is gone. */
export const RECONNECT_PATIENT_MAX_MS = 10_000;
/** stop() waits so long for aborted handlers, and again as long for the last acknowledgements. */
export const STOP_GRACE_MS = 500;
/** The server may take so long to answer that it has read Drain. Longer than a busy one takes. */
export const DRAIN_TIMEOUT_MS = 5_000;
/** After the worker has closed its side, the server may take so long to close its own. */
export const CLOSE_TIMEOUT_MS = 2_000;
