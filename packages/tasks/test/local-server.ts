import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import { once } from "node:events";

/** A web server on loopback for one test. Stops, with all its connections, when the test's scope ends. */
export interface LocalServer extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly origin: string;
  readonly port: number;
  /** Paths in the order in which they were asked for. */
  readonly requestedPaths: readonly string[];
}

export async function localServer(listener: RequestListener): Promise<LocalServer> {
  const requestedPaths: string[] = [];
  const server = createServer((request, response) => {
    requestedPaths.push(request.url ?? "");
    listener(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert(address !== null && typeof address === "object");
  const { port } = address;
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    requestedPaths,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
