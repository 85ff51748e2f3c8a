/** A system at work: its site, and processes that load it and work for it. */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { parseRan } from "./messages.ts";
import { Program } from "./program.ts";
import type { Turn } from "./scenario.ts";
import type { Site, System } from "./systems/system.ts";

/** No measurement is worth more; a system that stands still must not hold a run for ever. */
const STILL_MS_MAX = 120_000;

/** A system with a load generator and a worker, each in a process of its own. The worker has not begun. */
export interface Stage extends AsyncDisposable {
  readonly site: Site;
  readonly load: Program;
  readonly crew: Crew;
}

export async function openStage({ system, house }: Turn): Promise<Stage> {
  const stack = new AsyncDisposableStack();
  try {
    const site = stack.use(await system.start(house));
    const load = stack.use(startLoad(system.name, site.target));
    const crew = stack.use(new Crew(system, site));
    await Promise.all([load.ready, crew.program.ready]);
    return { site, load, crew, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/**
 * A load generator in a process of its own.
 *
 * @param way a system's name, or a door of Baton's
 */
export function startLoad(way: string, target: string): Program {
  return new Program(fileOf("load-process.ts"), [way, target], () => undefined);
}

/** A worker in a process of its own. It begins when asked to `start`; connecting is part of that. */
export class Crew implements AsyncDisposable {
  readonly program: Program;
  #ranCount = 0;
  #onRan: (count: number) => void = () => undefined;
  readonly #site: Site;

  constructor(system: System, site: Site) {
    this.#site = site;
    this.program = new Program(
      fileOf("worker-process.ts"),
      [system.name, site.target],
      (message) => {
        const count = parseRan(message);
        if (count === undefined) return;
        this.#ranCount = count;
        this.#onRan(count);
      },
    );
  }

  /** Jobs that it has run since it began. */
  get ranCount(): number {
    return this.#ranCount;
  }

  /** Has `listener` called whenever it has run more. */
  onRan(listener: (count: number) => void): void {
    this.#onRan = listener;
  }

  /**
   * Waits until it has run so many jobs and all of them are durably finished.
   *
   * @throws Error nothing moved for two minutes
   */
  async finished(count: number): Promise<void> {
    let last = { count: -1, left: -1, atMs: performance.now() };
    for (;;) {
      const left = this.#ranCount < count ? -1 : await this.#site.unfinished();
      if (left === 0) return;
      if (last.count !== this.#ranCount || last.left !== left) {
        last = { count: this.#ranCount, left, atMs: performance.now() };
      } else if (performance.now() - last.atMs > STILL_MS_MAX) {
        throw new Error(`it stands still after ${this.#ranCount} of ${count} jobs`);
      }
      await sleep(5);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
  }
}

function fileOf(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}
