/**
 * Wake-ups between servers. Each server gathers what others should know and sends it in one debounced NOTIFY: one for each
 * row or transaction would serialise commits. A lost wake-up costs latency, never a job: slow polls stand behind it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "pg";
import { z } from "zod";

import { NOTIFY_DEBOUNCE_MS } from "../domain/limits.ts";
import type { Database } from "../store/db.ts";
import { listen, notify } from "../store/event.ts";

/** What one server tells the others. */
const WakeUp = z.object({
  server: z.number(),
  /** Lanes that have ready jobs. */
  lanes: z.array(z.number()).optional(),
  /** Running attempts that should stop: job, attempt, worker, message. */
  stops: z.array(z.tuple([z.string(), z.number(), z.number(), z.string()])).optional(),
  /** A queue was paused or resumed. */
  isPauseChanged: z.boolean().optional(),
  /** Tasks whose definition changed. */
  tasks: z.array(z.string()).optional(),
});
export type WakeUp = Readonly<z.infer<typeof WakeUp>>;

/** PostgreSQL takes less than 8,000 bytes in one NOTIFY. */
const PAYLOAD_BYTES_MAX = 7_000;
const RECONNECT_MS = 500;

export interface NotifierOptions {
  readonly db: Database;
  readonly serverId: () => number;
  /** Whether another server lives: alone, nothing is sent. */
  readonly hasOthers: () => boolean;
  readonly onError: (error: unknown) => void;
}

export class Notifier {
  readonly #options: NotifierOptions;
  #lanes = new Set<number>();
  #stops: [string, number, number, string][] = [];
  #tasks = new Set<string>();
  #isPauseChanged = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: NotifierOptions) {
    this.#options = options;
  }

  lanes(laneIds: Iterable<number>): void {
    if (!this.#options.hasOthers()) return;
    for (const id of laneIds) this.#lanes.add(id);
    this.#schedule();
  }

  stop(jobId: string, attempt: number, workerId: number, message: string): void {
    if (!this.#options.hasOthers()) return;
    this.#stops.push([jobId, attempt, workerId, message.slice(0, STOP_MESSAGE_CHARACTERS)]);
    this.#schedule();
  }

  pauseChanged(): void {
    if (!this.#options.hasOthers()) return;
    this.#isPauseChanged = true;
    this.#schedule();
  }

  tasks(names: readonly string[]): void {
    if (!this.#options.hasOthers()) return;
    for (const name of names) this.#tasks.add(name);
    this.#schedule();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#send().catch(this.#options.onError);
    }, NOTIFY_DEBOUNCE_MS);
  }

  async #send(): Promise<void> {
    const server = this.#options.serverId();
    const wakeUps: WakeUp[] = [
      ...chunks([...this.#lanes], LANES_PER_MESSAGE).map((lanes) => ({ server, lanes })),
      ...chunks(this.#stops, STOPS_PER_MESSAGE).map((stops) => ({ server, stops })),
      ...chunks([...this.#tasks], TASKS_PER_MESSAGE).map((tasks) => ({ server, tasks })),
      ...(this.#isPauseChanged ? [{ server, isPauseChanged: true }] : []),
    ];
    this.#lanes = new Set();
    this.#stops = [];
    this.#tasks = new Set();
    this.#isPauseChanged = false;
    for (const wakeUp of wakeUps) await notify(this.#options.db, JSON.stringify(wakeUp));
  }
}

// Each keeps a message below PAYLOAD_BYTES_MAX: a lane id takes 11 bytes, a stop 80 and its message, a task name 131.
const LANES_PER_MESSAGE = Math.floor(PAYLOAD_BYTES_MAX / 11);
const STOP_MESSAGE_CHARACTERS = 80;
const STOPS_PER_MESSAGE = Math.floor(PAYLOAD_BYTES_MAX / (80 + STOP_MESSAGE_CHARACTERS * 6));
const TASKS_PER_MESSAGE = Math.floor(PAYLOAD_BYTES_MAX / 131);

function chunks<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

export interface ListenerOptions {
  readonly db: Database;
  readonly serverId: () => number;
  readonly onWakeUp: (wakeUp: WakeUp) => void;
  /** Called after each (re)connection: wake-ups may have been missed before. */
  readonly onConnected: () => void;
  readonly signal: AbortSignal;
  readonly onError: (error: unknown) => void;
}

/** Listens to the other servers until `signal` aborts, on one connection that is opened anew when it breaks. */
export async function runListener(options: ListenerOptions): Promise<void> {
  while (!options.signal.aborted) {
    try {
      const client = await options.db.connect("baton-listener");
      try {
        await listenUntilClosed(client, options);
      } finally {
        await client.end().catch(() => undefined);
      }
    } catch (error) {
      options.onError(error);
    }
    await sleep(RECONNECT_MS, undefined, { signal: options.signal }).catch(() => undefined);
  }
}

async function listenUntilClosed(client: Client, options: ListenerOptions): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    client.once("end", resolve);
    client.once("error", () => resolve());
    options.signal.addEventListener("abort", () => resolve(), { once: true });
    // Stopped while the connection was being made: no event will tell.
    if (options.signal.aborted) resolve();
  });
  client.on("notification", ({ payload }) => {
    const wakeUp = parseWakeUp(payload ?? "");
    if (wakeUp !== undefined && wakeUp.server !== options.serverId()) options.onWakeUp(wakeUp);
  });
  await listen(client);
  options.onConnected();
  await closed;
}

function parseWakeUp(payload: string): WakeUp | undefined {
  try {
    return WakeUp.parse(JSON.parse(payload));
  } catch {
    // Anybody with access to the database can notify; what is not ours is not for us.
    return undefined;
  }
}
