/** Work for the tests of isolation/isolated-pool.ts, in a thread or a process. */
import { setTimeout as sleep } from "node:timers/promises";

import { Refused, serve } from "../src/isolation/serve.ts";

export type IsolatedRequest =
  | { readonly kind: "pid" }
  | { readonly kind: "double"; readonly bytes: Uint8Array }
  | { readonly kind: "refuse" | "throw" | "spin" | "exit" | "hoard" }
  | { readonly kind: "sleep"; readonly ms: number };

serve(async (request: IsolatedRequest): Promise<unknown> => {
  switch (request.kind) {
    case "pid":
      return process.pid;
    case "double":
      return request.bytes.map((byte) => byte * 2);
    case "refuse":
      throw new Refused("page_unreadable", "no good");
    case "throw":
      throw new TypeError("a mistake");
    case "spin":
      for (;;);
    case "exit":
      return process.exit(3);
    case "hoard":
      return hoard();
    case "sleep":
      return sleep(request.ms, "slept");
  }
});

function hoard(): unknown {
  const kept: unknown[] = [];
  for (;;) kept.push(Array.from({ length: 10_000 }, () => ({ at: kept.length })));
}
