/**
 * Server-sent events (WHATWG HTML §9.2). A stream is written as fast as its reader takes it and no faster: while the
 * socket is full nothing is read from the source, and a reader that takes nothing for too long is cut off. Comments
 * show life while nothing happens.
 */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyReply } from "fastify";
import { EVENT_STREAM_RETRY_MS } from "../domain/limits.ts";

export interface ServerSentEvent {
  readonly event: string;
  /** Any text; lines are kept. */
  readonly data: string;
  /** What a browser gives back as Last-Event-ID when it reconnects. One line. */
  readonly id?: string | undefined;
}

export interface EventStreamOptions {
  /** Ends the stream. Aborts when the client is gone or the server stops. */
  readonly signal: AbortSignal;
  readonly heartbeatMs: number;
  readonly stallMsMax: number;
  /** The last event of a stream whose source failed. */
  readonly onError: (error: unknown) => ServerSentEvent;
}

/** Answers a request with events until they end, the signal aborts or the reader stalls. Never rejects. */
export async function sendEvents(
  reply: FastifyReply,
  events: AsyncIterable<ServerSentEvent>,
  options: EventStreamOptions,
): Promise<void> {
  const { raw } = reply.hijack();
  // The client may go at any time, also between two writes.
  raw.on("error", () => raw.destroy());
  raw.writeHead(200, {
    ...definedHeaders(reply),
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store, no-transform",
    // nginx would hold events back otherwise.
    "x-accel-buffering": "no",
  });
  raw.write(`retry: ${EVENT_STREAM_RETRY_MS}\n\n`);
  const ended = new AbortController();
  const end = (): void => ended.abort();
  options.signal.addEventListener("abort", end, { once: true });
  const heartbeats = sendHeartbeats(raw, options.heartbeatMs, ended.signal);
  try {
    for await (const event of events) {
      if (options.signal.aborted) break;
      if (!raw.write(eventText(event))) await drained(raw, options);
    }
  } catch (error) {
    if (!options.signal.aborted && !raw.destroyed) raw.write(eventText(options.onError(error)));
  }
  options.signal.removeEventListener("abort", end);
  end();
  await heartbeats;
  raw.end();
}

/** The lines of one event. */
function eventText(event: ServerSentEvent): string {
  const id = event.id === undefined ? "" : `id: ${event.id}\n`;
  const data = event.data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  return `event: ${event.event}\n${id}${data.join("")}\n`;
}

async function sendHeartbeats(
  raw: ServerResponse,
  heartbeatMs: number,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await sleep(heartbeatMs, undefined, { signal }).catch(() => undefined);
    if (!signal.aborted && !raw.writableNeedDrain) raw.write(": heartbeat\n\n");
  }
}

/** Waits until the reader took what was written; a reader that takes too long is cut off. */
async function drained(raw: ServerResponse, options: EventStreamOptions): Promise<void> {
  const patience = AbortSignal.timeout(options.stallMsMax);
  await once(raw, "drain", { signal: AbortSignal.any([options.signal, patience]) }).catch(
    (error: unknown) => {
      if (patience.aborted) raw.destroy();
      throw error;
    },
  );
}

function definedHeaders(reply: FastifyReply): Record<string, number | string | string[]> {
  const headers: Record<string, number | string | string[]> = {};
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) headers[name] = value;
  }
  return headers;
}
