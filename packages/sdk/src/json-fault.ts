import { messageOf } from "./worker/job-error.ts";

/** Why `JSON.stringify` refused a value, for the end of a message. Never throws, whatever a `toJSON` has thrown. */
export function jsonFault(thrown: unknown): string {
  const message = messageOf(thrown);
  // It calls itself for each level, and the engine says no more than that its stack is full.
  return message.includes("call stack size")
    ? "it is nested too deep; servers take 200 levels of arrays and objects"
    : message;
}
