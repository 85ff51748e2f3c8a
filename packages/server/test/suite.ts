import { after } from "node:test";

/** Collects what a suite has to clean up; called in the body of its `describe`. Cleans up in reverse order. */
export function suiteCleanup(): { readonly after: (cleanup: () => unknown) => void } {
  const cleanups: (() => unknown)[] = [];
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });
  return { after: (cleanup) => void cleanups.push(cleanup) };
}
