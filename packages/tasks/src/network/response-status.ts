import { STATUS_CODES } from "node:http";

import { RetryAfter } from "@baton/sdk";

import { fatal } from "../faults.ts";
import { joined, shown, type BoundedResponse } from "./network.ts";
import { retryAfterMs } from "./retry-after.ts";

const BODY_SHOWN_CHARACTERS = 200;
/** Refusals of now, not of the request. All of 5xx are too. */
const STATUSES_TRANSIENT: ReadonlySet<number> = new Set([408, 425, 429]);

/** The response, when its status says success. @throws as {@link errorOfStatus} otherwise */
export function fetchedOrThrow(response: BoundedResponse): BoundedResponse {
  if (response.status >= 200 && response.status < 300) return response;
  throw errorOfStatus(response);
}

/**
 * The error for a status that was not expected. It decides whether and when the job tries again: 5xx, 408, 425 and 429
 * do, after `Retry-After` when the server sends one; the others are Fatal.
 */
export function errorOfStatus(response: BoundedResponse): Error {
  const { status } = response;
  const start = response.body.toString("utf8").replaceAll(/\s+/g, " ").trim();
  const message =
    `${shown(response.url)} answered ${status} ${STATUS_CODES[status] ?? ""}`.trimEnd() +
    (start === "" ? "." : `: ${start.slice(0, BODY_SHOWN_CHARACTERS)}`);
  if (status < 500 && !STATUSES_TRANSIENT.has(status)) {
    return fatal("http_status", message);
  }
  const delayMs = retryAfterMs(joined(response.headers["retry-after"]), Date.now());
  return delayMs === undefined ? new Error(message) : new RetryAfter(delayMs, message);
}
