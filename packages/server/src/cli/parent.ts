/**
 * Calls `callback` once when the process that started this one is gone, however it ended: `scripts/launch.mjs`, or a
 * parent that used `fork`. Such a parent holds the other end of an IPC channel, which the kernel closes even after
 * `kill -9`. A process that was started without such a channel never calls back. Waiting keeps no process alive.
 *
 * @returns stops waiting
 */
export function onParentExit(callback: () => void): () => void {
  // `connected` is undefined without a channel, and false when the parent left before anybody asked.
  if (process.connected === undefined) return () => undefined;
  if (!process.connected) {
    const soon = setImmediate(callback);
    return () => clearImmediate(soon);
  }
  process.once("disconnect", callback);
  process.channel?.unref();
  return () => {
    process.off("disconnect", callback);
  };
}
