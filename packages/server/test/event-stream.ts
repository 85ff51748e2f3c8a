import { once } from "node:events";
import type { TestContext } from "node:test";

/** A reader of server-sent events. */
export interface EventStreamReader {
  readonly status: number;
  readonly headers: Headers;
  /** The next block (event or comment) without its empty line, or undefined at the end. */
  next(): Promise<string | undefined>;
  /** The next block that is an event. */
  nextEvent(): Promise<string | undefined>;
  /** Everything up to the end. */
  rest(): Promise<string>;
  close(): void;
}

/** Opens an event stream with a real connection, closed after the test. */
export async function openEventStream(
  test: TestContext,
  url: string,
  headers: Record<string, string> = {},
): Promise<EventStreamReader> {
  const controller = new AbortController();
  test.after(() => controller.abort());
  const response = await fetch(url, { headers, signal: controller.signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let buffered = "";
  const next = async (): Promise<string | undefined> => {
    for (;;) {
      const end = buffered.indexOf("\n\n");
      if (end !== -1) {
        const block = buffered.slice(0, end);
        buffered = buffered.slice(end + 2);
        return block;
      }
      const chunk = await reader?.read();
      if (chunk === undefined || chunk.done) return undefined;
      buffered += chunk.value;
    }
  };
  return {
    status: response.status,
    headers: response.headers,
    next,
    nextEvent: async () => {
      let block = await next();
      while (block !== undefined && !block.startsWith("event:")) block = await next();
      return block;
    },
    rest: async () => {
      let text = buffered;
      for (;;) {
        const chunk = await reader?.read();
        if (chunk === undefined || chunk.done) return text;
        text += chunk.value;
      }
    },
    close: () => controller.abort(),
  };
}

/** A source of items that a test feeds. */
export interface Feed<Item> {
  push(item: Item): void;
  end(): void;
  fail(error: unknown): void;
  /** Resolves when the reader has stopped reading, for whatever reason. */
  readonly stopped: Promise<void>;
  read(signal: AbortSignal): AsyncIterable<Item>;
}

/** Makes a source whose iteration ends when it is told to or its signal aborts. */
export function aFeed<Item>(...first: readonly Item[]): Feed<Item> {
  const pending: (() => Item | undefined)[] = first.map((item) => () => item);
  const wake = new EventTarget();
  const add = (step: () => Item | undefined): void => {
    pending.push(step);
    wake.dispatchEvent(new Event("step"));
  };
  const stopped = Promise.withResolvers<void>();
  return {
    push: (item) => add(() => item),
    end: () => add(() => undefined),
    fail: (error) =>
      add(() => {
        throw error;
      }),
    stopped: stopped.promise,
    async *read(signal) {
      try {
        for (;;) {
          const step = pending.shift();
          if (step === undefined) {
            await once(wake, "step", { signal });
            continue;
          }
          const item = step();
          if (item === undefined) return;
          yield item;
        }
      } finally {
        stopped.resolve();
      }
    },
  };
}
