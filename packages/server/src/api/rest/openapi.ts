/** The OpenAPI document, a page to read it with, and a page of all error codes. Works without a network. */
import { status as Rpc } from "@grpc/grpc-js";
import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import { ERRORS } from "../../errors.ts";
import type { HttpApp } from "./app.ts";

/** The page's own scripts and styles; the reader sets style attributes on its elements. */
const PAGE_POLICY =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; " +
  "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const LOGO =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 40"><text x="4" y="30" fill="#fff" ' +
  'font-family="system-ui,sans-serif" font-size="28" font-weight="700">Baton</text></svg>';

/** Gathers the schemas of all routes that are registered after it and serves them. */
export function serveOpenApi(app: HttpApp, version: string): void {
  void app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Baton",
        version,
        description:
          "Submit jobs, look at them, change them, watch them. Times are RFC 3339, durations " +
          "milliseconds, absent values null. Errors are RFC 9457 problem documents.",
      },
      tags: [
        { name: "jobs" },
        { name: "queues" },
        { name: "tasks" },
        { name: "cluster", description: "Workers and servers." },
        { name: "health" },
        { name: "compatibility", description: "For clients of other schedulers." },
      ],
    },
    refResolver: {
      buildLocalReference: (schema, _baseUri, _fragment, index) =>
        typeof schema["$id"] === "string" ? schema["$id"] : `def-${index}`,
    },
  });
  void app.register(swaggerUi, {
    routePrefix: "/api/v1/docs",
    staticCSP: PAGE_POLICY,
    uiConfig: { docExpansion: "list", deepLinking: true, displayRequestDuration: true },
    theme: { title: "Baton API" },
    logo: { type: "image/svg+xml", content: LOGO, href: "/api/v1/docs" },
  });
  void app.register(async (scope: HttpApp) => {
    scope.get("/api/v1/openapi.json", { schema: { hide: true } }, async (_request, reply) =>
      reply.type("application/json").send(JSON.stringify(app.swagger())),
    );
    scope.get("/api/v1/docs/errors", { schema: { hide: true } }, async (_request, reply) =>
      reply
        .type("text/html; charset=utf-8")
        .header("content-security-policy", PAGE_POLICY)
        .send(errorPage()),
    );
  });
}

function errorPage(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { http, rpc, isRetryable }]) =>
      `<tr id="${code}"><td><code>${code}</code></td><td>${http}</td>` +
      `<td>${Rpc[rpc]}</td><td>${isRetryable ? "yes" : "no"}</td></tr>`,
  );
  return (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Baton: error codes</title>' +
    "<style>body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}" +
    "td,th{text-align:left;padding:.2rem 1.5rem .2rem 0}tr:target{background:#fe9}</style></head>" +
    "<body><h1>Error codes</h1><p>Every error names its code; its detail says what was expected and " +
    "what was received. Retryable: the same call may succeed later without a change. docs/errors.md " +
    "explains each code.</p><table><thead><tr><th>Code</th><th>HTTP</th><th>gRPC</th>" +
    `<th>Retryable</th></tr></thead><tbody>${rows.join("")}</tbody></table></body></html>\n`
  );
}
