/** Where a test's helpers put what they start. */
import type { TestContext } from "node:test";

export interface Stage {
  /** Cleans something up after the test; what was started last, first. node:test itself begins with the first. */
  after(cleanUp: () => unknown): void;
  diagnostic(message: string): void;
  readonly hasFailed: boolean;
}

export function aStage(t: TestContext): Stage {
  const cleanUps: (() => unknown)[] = [];
  t.after(async () => {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  });
  return {
    after: (cleanUp) => void cleanUps.push(cleanUp),
    diagnostic: (message) => t.diagnostic(message),
    get hasFailed() {
      // Known to Node, but not to its types.
      return !("passed" in t) || t.passed !== true;
    },
  };
}
