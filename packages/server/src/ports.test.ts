import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, it, type TestContext } from "node:test";

import { readConfig } from "./config.ts";
import { requireFreePorts } from "./ports.ts";

describe("requireFreePorts", () => {
  for (const [setting, what] of [
    ["BATON_HTTP_PORT", "HTTP"],
    ["BATON_GRPC_PORT", "gRPC"],
  ] as const) {
    it(`names ${setting} when another program listens there`, async (t) => {
      const port = await aTakenPort(t);
      const config = readConfig({
        BATON_HTTP_PORT: "0",
        BATON_GRPC_PORT: "0",
        [setting]: String(port),
      });

      await assert.rejects(requireFreePorts(config), {
        code: "address_in_use",
        message: `${what} cannot listen on 127.0.0.1:${port}: another program does, perhaps another Baton. Stop it, or set ${setting}.`,
      });
    });
  }

  it("leaves free ports free", async (t) => {
    const port = await aTakenPort(t, true);
    const config = readConfig({ BATON_HTTP_PORT: String(port), BATON_GRPC_PORT: "0" });

    await requireFreePorts(config);
    await requireFreePorts(config);
  });
});

async function aTakenPort(t: TestContext, isGivenBack = false): Promise<number> {
  const server = createServer();
  await once(server.listen({ host: "127.0.0.1", port: 0 }), "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("expected a port");
  const close = async (): Promise<void> => {
    server.close();
    await once(server, "close");
  };
  if (isGivenBack) await close();
  else t.after(close);
  return address.port;
}
