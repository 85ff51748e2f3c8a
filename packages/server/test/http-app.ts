import type { TestContext } from "node:test";
import type { FastifyInstance, LightMyRequestResponse } from "fastify";
import { createHttpApp, type HttpAppOptions } from "../src/api/http.ts";
import type { Operations } from "../src/api/operations.ts";
import { fakeOperations } from "./fake-operations.ts";

/** An HTTP server that is not listening. Only the given operations may be called. */
export function anHttpApp(
  given: Partial<Operations> = {},
  options: Partial<HttpAppOptions> = {},
): FastifyInstance {
  return createHttpApp({ operations: fakeOperations(given), version: "0.0.0", ...options });
}

/** The same, until the end of the test listening on a free port of the loopback interface; the second value is its origin. */
export async function aListeningHttpApp(
  test: TestContext,
  given: Partial<Operations> = {},
  options: Partial<HttpAppOptions> = {},
): Promise<[FastifyInstance, string]> {
  const app = anHttpApp(given, options);
  test.after(() => app.close());
  const origin = await app.listen({ host: "127.0.0.1", port: 0 });
  return [app, origin];
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
