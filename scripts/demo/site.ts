/** A small web site on loopback, so that the demo depends on nobody's network. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { text } from "node:stream/consumers";

const PAGE = path.resolve(import.meta.dirname, "../../examples/data/page.html");

export interface Site {
  /** `http://host:port` */
  readonly origin: string;
  stop(): Promise<void>;
}

/** `/catalogue` is a page, `/private` is forbidden to robots, `/orders` answers with what it received. */
export async function startSite(): Promise<Site> {
  const page = await readFile(PAGE);
  const server = createServer((request, response) => {
    const answer = (status: number, type: string, body: string | Buffer): void => {
      response.writeHead(status, { "content-type": type }).end(body);
    };
    switch (request.url ?? "/") {
      case "/robots.txt":
        return answer(200, "text/plain", "User-agent: *\nDisallow: /private\n");
      case "/catalogue":
      case "/private":
        return answer(200, "text/html; charset=utf-8", page);
      case "/orders":
        text(request).then(
          (body) => answer(200, "application/json", `{"received":${body}}`),
          () => response.destroy(),
        );
        return;
      default:
        return answer(404, "text/plain", "There is no such page.");
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the site has no port");
  return {
    origin: `http://127.0.0.1:${address.port}`,
    stop: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
