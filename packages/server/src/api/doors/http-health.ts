import { Type } from "@fastify/type-provider-typebox";
import type { HttpApp } from "../rest/app.ts";
import type { Operations } from "../operations.ts";

const PLAIN_TEXT = "text/plain; charset=utf-8";

/** `/health` and `/ready` with the answers of specification 1, for load balancers and probes. */
export function healthDoor(app: HttpApp, operations: Pick<Operations, "isReady">): void {
  app.get(
    "/health",
    {
      exposeHeadRoute: true,
      schema: {
        summary: "Whether the process answers",
        tags: ["health"],
        response: { 200: plainText("OK") },
      },
    },
    async (_request, reply) => reply.type(PLAIN_TEXT).send("OK"),
  );

  app.get(
    "/ready",
    {
      exposeHeadRoute: true,
      schema: {
        summary: "Whether the server can accept and run jobs",
        tags: ["health"],
        response: { 200: plainText("READY"), 503: plainText("NOT READY") },
      },
    },
    async (request, reply) => {
      const isReady = await operations.isReady().catch((error: unknown) => {
        request.log.warn({ err: error }, "readiness is unknown");
        return false;
      });
      void reply.code(isReady ? 200 : 503).type(PLAIN_TEXT);
      return reply.send(isReady ? "READY" : "NOT READY");
    },
  );
}

function plainText(text: string): ReturnType<typeof Type.Unsafe<string>> {
  return Type.Unsafe<string>({
    description: text,
    content: { "text/plain": { schema: { type: "string", enum: [text] } } },
  });
}
