/** baton.v1.ServerService. */
import { ListServersRequest, ServerServiceService } from "@baton/sdk/contract";
import type { Operations } from "../operations.ts";
import { decodeMessage } from "./decode.ts";
import { type MethodContext, type Methods, unary } from "./methods.ts";

export function serverMethods(
  operations: Operations,
  context: MethodContext,
): Methods<typeof ServerServiceService> {
  const { list } = ServerServiceService;
  return {
    list: unary(context, list, decodeMessage(ListServersRequest), async () => ({
      servers: [...(await operations.serverList())],
    })),
  };
}
