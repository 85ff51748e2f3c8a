/**
 * Preloaded into each test file's process: ends it after `?ms=` and says what kept it alive. node:test ends a test that
 * takes too long, but waits for ever for a process that an open handle keeps alive.
 */
const ms = Number(new URL(import.meta.url).searchParams.get("ms"));

setTimeout(() => {
  const open = process.getActiveResourcesInfo();
  console.error(
    `The test file took longer than ${ms} ms and was ended. Still open: ${open.join(", ")}`,
  );
  process.exit(1);
}, ms).unref();
