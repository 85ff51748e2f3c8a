import { isUtf8 } from "node:buffer";

import { task } from "@baton/sdk";
import { z } from "zod";

/**
 * Returns its input: any JSON. Bytes that are no JSON come back as text when they are UTF-8, else as
 * `{ base64: "…" }`.
 */
export function echoTask() {
  return task({
    name: "echo",
    description: "Returns its input.",
    input: z.unknown().meta({ description: "Any JSON." }),
    run: (input): unknown => (Buffer.isBuffer(input) ? echoOfBytes(input) : input),
  });
}

function echoOfBytes(bytes: Buffer): unknown {
  return isUtf8(bytes) ? bytes.toString("utf8") : { base64: bytes.toString("base64") };
}
