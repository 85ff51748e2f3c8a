/**
 * The bounds that callers and workers meet, and those that several parts of the server share, each with its unit and its
 * reason. At a bound the caller gets a clear error; nothing is dropped silently. A number that one file alone needs (a
 * pause, a poll, a queue between two functions) stands at that file's head.
 */
import assert from "node:assert/strict";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Default size of a job's input or result. Larger values belong into object storage. */
export const PAYLOAD_BYTES_MAX_DEFAULT = 1024 * 1024;
/** Levels of nesting in JSON payloads: far above real documents, far below where recursive readers fail. */
export const JSON_DEPTH_MAX = 200;
/** A message that carries one bulk call, or one batch of jobs to a worker. */
export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
/** Jobs in one bulk call: keeps one transaction short. */
export const BULK_JOBS_MAX = 10_000;
/** Refused batches that a submit stream reports one by one. */
export const REFUSED_BATCHES_MAX = 100;

/**
 * Jobs that wait in one server for their commit; beyond it a submit gets `resource_exhausted`. Each of the four ways in has
 * this bound of its own: few jobs without keys, bulks without keys, single jobs with keys, bulks with keys.
 */
export const INTAKE_PENDING_MAX = 100_000;
/** Payload characters that wait, in each of the four ways. */
export const INTAKE_PENDING_BYTES_MAX = 256 * 1024 * 1024;
/** Jobs in one insert statement: beyond it batches cost memory without gain. */
export const INTAKE_BATCH_MAX = 2_000;
/** Payload characters in one insert or finish statement. */
export const BATCH_BYTES_MAX = 16 * 1024 * 1024;
/** Outcomes in one finish statement. */
export const OUTCOME_BATCH_MAX = 2_000;
/** Outcomes that wait in one server; beyond it workers' streams are not read. */
export const OUTCOME_PENDING_MAX = 100_000;
/** The same for the characters of their results. */
export const OUTCOME_PENDING_BYTES_MAX = 256 * 1024 * 1024;
/** Jobs in one message to a worker. */
export const JOBS_PER_MESSAGE_MAX = 1_000;
/** Outcomes, reports or log lines in one message of a worker: what its slots can hold, and its last ones. */
export const ENTRIES_PER_MESSAGE_MAX = 20_000;
/** Jobs leased by one statement. */
export const LEASE_BATCH_MAX = 1_000;
/** Lanes looked at by one lease statement; more take turns. */
export const LEASE_LANES_MAX = 64;
/** Due or expired jobs moved by one statement. */
export const SWEEP_BATCH_MAX = 1_000;
/** Bytes that wait for one worker to read; until some are sent it gets no more jobs, and is not heard. */
export const WORKER_UNSENT_BYTES_MAX = 32 * 1024 * 1024;
/** A database that leaves a statement of the engine without an answer for so long counts as away. */
export const DATABASE_ANSWER_MS_MAX = MINUTE_MS;
/** A list or a count that takes longer is cancelled. */
export const READ_MS_MAX = 10 * SECOND_MS;
/** Connections for people's lists and looks: however slow, they leave the engine its own. */
export const READ_CONNECTIONS_MAX = 4;
/** How long an accepted call may wait for a database that is away before it gets `unavailable`. */
export const DATABASE_WAIT_MS_MAX = 20 * SECOND_MS;

export const PRIORITY_MIN = -100;
export const PRIORITY_MAX = 100;
/** Longest delay before a job's start. */
export const DELAY_MS_MAX = 10 * 365 * DAY_MS;
export const MAX_ATTEMPTS_MAX = 1_000;
export const MAX_ATTEMPTS_DEFAULT = 3;
/** Attempts lost with their worker before the job is dead: a job that kills its worker must not do so for ever. */
export const LOST_ATTEMPTS_MAX = 10;
/** Attempts of one job, whatever their outcome: one that snoozes or is redriven without end is dead at the next one. */
export const ATTEMPTS_MAX = 100_000;
export const RETRY_BASE_MS_DEFAULT = SECOND_MS;
export const RETRY_BASE_MS_MAX = DAY_MS;
export const RETRY_MAX_MS_DEFAULT = HOUR_MS;
export const RETRY_MAX_MS_MAX = 30 * DAY_MS;
/** Longest of all timeouts. */
export const TIMEOUT_MS_MAX = 365 * DAY_MS;
/** A handler that never returns must not hold its slot for ever. */
export const ATTEMPT_TIMEOUT_MS_DEFAULT = HOUR_MS;
export const CANCEL_GRACE_MS_DEFAULT = 10 * SECOND_MS;
export const CANCEL_GRACE_MS_MAX = HOUR_MS;
/** After the grace the server waits so long for the worker's outcome before it ends the attempt itself. */
export const STOP_SLACK_MS = 2 * SECOND_MS;

export const NAME_CHARACTERS_MAX = 128;
export const KEY_CHARACTERS_MAX = 255;
export const TAGS_MAX = 16;
export const TAG_CHARACTERS_MAX = 128;
export const REASON_CHARACTERS_MAX = 1_000;
/** Of a task's definition. */
export const DESCRIPTION_CHARACTERS_MAX = 4_000;
export const ERROR_MESSAGE_CHARACTERS_MAX = 8_192;
export const ERROR_STACK_CHARACTERS_MAX = 16_384;
export const PROGRESS_BYTES_MAX = 16 * 1024;
export const LOG_MESSAGE_BYTES_MAX = 16 * 1024;
/** Log lines kept of one attempt; later ones are replaced by one line that says so. */
export const LOG_LINES_PER_ATTEMPT_MAX = 10_000;
/** Log lines that wait in one server. From half of it on, workers' streams are not read until those are written. */
export const LOG_PENDING_MAX = 50_000;
/** The same for their characters. */
export const LOG_PENDING_BYTES_MAX = 64 * 1024 * 1024;

export const LIST_LIMIT_DEFAULT = 50;
export const LIST_LIMIT_MAX = 1_000;
/** Attempts shown of one job, the latest; one that snoozes for years has many. */
export const ATTEMPT_LIST_MAX = 1_000;
export const LOG_LIST_LIMIT_DEFAULT = 1_000;
export const LOG_LIST_LIMIT_MAX = 10_000;
/** Jobs changed by one cancel or redrive by filter. */
export const FILTER_CHANGE_LIMIT_DEFAULT = 1_000;
export const FILTER_CHANGE_LIMIT_MAX = 10_000;

export const LANES_MAX = 100_000;
export const QUEUES_MAX = 10_000;
export const TASKS_MAX = 10_000;
export const WORKER_TASKS_MAX = 500;
export const WORKER_QUEUES_MAX = 100;
export const WORKER_SLOTS_MAX = 10_000;
export const WORKER_LABELS_MAX = 32;
export const WORKERS_PER_SERVER_MAX = 10_000;
export const WATCHERS_PER_SERVER_MAX = 10_000;

/** Longest wait of one HTTP request for a job's end; proxies commonly cut a request after a minute. */
export const RESULT_WAIT_MS_MAX = MINUTE_MS;
/** Bytes of a request body around one job's input: names, keys, tags and options. */
export const REQUEST_ENVELOPE_BYTES = 64 * 1024;
/** An HTTP request, body included, must arrive within so long: 64 MiB at 5 Mbit/s. */
export const REQUEST_RECEIVE_MS_MAX = 2 * MINUTE_MS;
/** A stop waits so long for requests that run; the longest ordinary one waits for its commit. */
export const HTTP_CLOSE_MS_MAX = 10 * SECOND_MS;
/** An event stream shows life so often; proxies commonly close connections that are silent for a minute. */
export const EVENT_STREAM_HEARTBEAT_MS = 15 * SECOND_MS;
/** A reader of an event stream that takes nothing for so long is cut off; it resumes by sequence. */
export const EVENT_STREAM_STALL_MS_MAX = 30 * SECOND_MS;
/** Browsers reconnect to a cut event stream after so long. */
export const EVENT_STREAM_RETRY_MS = 2 * SECOND_MS;

/** A server says that it is alive so often. */
export const SERVER_RENEW_MS = SECOND_MS;
/** How long a worker keeps its jobs without contact, unless it asks for another lease. */
export const WORKER_LEASE_MS_DEFAULT = 7 * SECOND_MS;
export const WORKER_LEASE_MS_MIN = 2 * SECOND_MS;
export const WORKER_LEASE_MS_MAX = 10 * MINUTE_MS;
export const HEARTBEATS_PER_LEASE = 4;
/**
 * A worker that holds nothing beats once in so many leases, or each IDLE_HEARTBEAT_MS_MAX when that is sooner, but never
 * more often than one with jobs: a thousand that beat as if they had something to lose cost a tenth of a core.
 */
export const LEASES_PER_IDLE_HEARTBEAT = 2;
export const IDLE_HEARTBEAT_MS_MAX = 30 * SECOND_MS;
/** The reaper looks for lost leases so often. */
export const REAP_INTERVAL_MS = SECOND_MS / 2;
/** A leased job is on its way to its worker within so long; after that the next slow poll looks whether it was forgotten. */
export const DELIVERY_MS_MAX = 2 * SECOND_MS;
/** Behind notifications: a lane that was believed empty is looked at again after so long, or a minute when looking is dear. */
export const SLOW_POLL_MS = 2 * SECOND_MS;
/** Wake-ups to other servers are gathered for so long. */
export const NOTIFY_DEBOUNCE_MS = 20;
/** Partitions are made so many days ahead: a machine may sleep for that long. */
export const PARTITION_DAYS_AHEAD = 14;
export const RETENTION_FINISHED_DAYS_DEFAULT = 7;
export const RETENTION_DEAD_DAYS_DEFAULT = 30;
export const RETENTION_DAYS_MAX = 3_650;
export const IDEMPOTENCY_MS_DEFAULT = DAY_MS;

// The server renews several times before a worker of its could count as lost.
assert(SERVER_RENEW_MS * 2 <= WORKER_LEASE_MS_MIN);
// Running work resumes within 10 s of a crash of everything.
assert(WORKER_LEASE_MS_DEFAULT + REAP_INTERVAL_MS < 10 * SECOND_MS);
assert(BULK_JOBS_MAX <= INTAKE_PENDING_MAX);
