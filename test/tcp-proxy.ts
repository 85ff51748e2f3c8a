/** An address that stays the same while the server behind it changes, as a load balancer's does. */
import { once } from "node:events";
import net from "node:net";

import type { Stage } from "./stage.ts";

export interface TcpProxy {
  /** `host:port` */
  readonly address: string;
  /** Cuts all connections; new ones go to another server. */
  moveTo(target: string): void;
}

/** Starts a proxy. After the test it is closed. */
export async function aTcpProxy(stage: Stage, firstTarget: string): Promise<TcpProxy> {
  let target = firstTarget;
  const sockets = new Set<net.Socket>();
  const cutAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const server = net.createServer((client) => {
    const [host = "", port = ""] = target.split(":");
    const upstream = net.connect(Number(port), host);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stage.after(async () => {
    cutAll();
    server.close();
    await once(server, "close");
  });
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  return {
    address: `127.0.0.1:${port}`,
    moveTo: (next) => {
      target = next;
      cutAll();
    },
  };
}
