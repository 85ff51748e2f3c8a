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

/** A reader that waits for what never comes must not fill the memory with what comes instead. */
const TEXT_CHARACTERS_MAX = 16 * 1024 * 1024;
const COMMENTS_MAX = 1_000;

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
  let characterCount = 0;
  /** The next part of the text, or undefined at the end. */
  const read = async (): Promise<string | undefined> => {
    const chunk = await reader?.read();
    if (chunk === undefined || chunk.done) return undefined;
    characterCount += chunk.value.length;
    if (characterCount <= TEXT_CHARACTERS_MAX) return chunk.value;
    controller.abort();
    throw new Error(`the stream said more than ${TEXT_CHARACTERS_MAX} characters`);
  };
  const next = async (): Promise<string | undefined> => {
    for (;;) {
      const end = buffered.indexOf("\n\n");
      if (end !== -1) {
        const block = buffered.slice(0, end);
        buffered = buffered.slice(end + 2);
        return block;
      }
      const part = await read();
      if (part === undefined) return undefined;
      buffered += part;
    }
  };
  return {
    status: response.status,
    headers: response.headers,
    next,
    nextEvent: async () => {
      for (let count = 0; count < COMMENTS_MAX; count += 1) {
        const block = await next();
        if (block === undefined || block.startsWith("event:")) return block;
      }
      throw new Error(`the stream had no event in ${COMMENTS_MAX} blocks`);
    },
    rest: async () => {
      let text = buffered;
      for (;;) {
        const part = await read();
        if (part === undefined) return text;
        text += part;
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
