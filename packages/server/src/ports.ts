/** The ports that the server listens on, looked at before anything that takes time is started. */
import { once } from "node:events";
import { createServer } from "node:net";

import type { Config } from "./config.ts";
import { AppError } from "./errors.ts";

/** @throws AppError address_in_use */
export async function requireFreePorts({ host, httpPort, grpcPort }: Config): Promise<void> {
  await requireFree("HTTP", host, httpPort, "BATON_HTTP_PORT");
  await requireFree("gRPC", host, grpcPort, "BATON_GRPC_PORT");
}

/** Turns the refusal of an address that another program listens on into advice; passes every other error on. */
export function asAddressInUse(
  error: unknown,
  what: string,
  host: string,
  port: number,
  setting: string,
): unknown {
  if (!(error instanceof Error && "code" in error && error.code === "EADDRINUSE")) return error;
  return new AppError(
    "address_in_use",
    `${what} cannot listen on ${host}:${port}: another program does, perhaps another Baton. Stop it, or set ${setting}.`,
    { host, port },
    { cause: error },
  );
}

async function requireFree(
  what: string,
  host: string,
  port: number,
  setting: string,
): Promise<void> {
  const probe = createServer();
  try {
    await once(probe.listen({ host, port }), "listening");
  } catch (error) {
    throw asAddressInUse(error, what, host, port, setting);
  }
  probe.close();
  await once(probe, "close");
}
