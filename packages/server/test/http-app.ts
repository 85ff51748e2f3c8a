import type { TestContext } from "node:test";
import type { FastifyInstance, LightMyRequestResponse } from "fastify";
import { createHttpApp, type HttpAppOptions } from "../src/api/http.ts";
import type { Operations } from "../src/api/operations.ts";
import { fakeOperations } from "./fake-operations.ts";

const sharedOperations = fakeOperations();
let sharedApp: FastifyInstance | undefined;

/**
 * An HTTP server that is not listening. Only the operations given last may be called: tests of one
 * file run one after the other and share the server, which takes a tenth of a second to make.
 */
export function anHttpApp(
  given: Partial<Operations> = {},
  options?: Partial<HttpAppOptions>,
): FastifyInstance {
  if (options !== undefined) return aNewHttpApp(given, options);
  Object.assign(sharedOperations, fakeOperations(given));
  sharedApp ??= createHttpApp({ operations: sharedOperations, version: "0.0.0" });
  return sharedApp;
}

/** A server of its own, until the end of the test listening on a free port of the loopback interface. */
export async function aListeningHttpApp(
  test: TestContext,
  given: Partial<Operations> = {},
  options: Partial<HttpAppOptions> = {},
): Promise<[app: FastifyInstance, origin: string]> {
  const app = aNewHttpApp(given, options);
  test.after(() => app.close());
  const origin = await app.listen({ host: "127.0.0.1", port: 0 });
  return [app, origin];
}

function aNewHttpApp(
  given: Partial<Operations>,
  options: Partial<HttpAppOptions>,
): FastifyInstance {
  return createHttpApp({ operations: fakeOperations(given), version: "0.0.0", ...options });
}

/** Sends a JSON body; a string goes out as it is. */
export async function send(
  app: FastifyInstance,
  method: "POST" | "PUT",
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<LightMyRequestResponse> {
  return app.inject({
    method,
    url,
    headers: { "content-type": "application/json", ...headers },
    payload: typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body),
  });
}

/** What a test says about a problem document: its status, code and detail in one line. */
export function problemLine(response: LightMyRequestResponse): string {
  const type = response.headers["content-type"];
  const { code, detail } = response.json<{ code: string; detail: string }>();
  return `${type === "application/problem+json; charset=utf-8" ? "" : `${type} `}${response.statusCode} ${code}: ${detail}`;
}
