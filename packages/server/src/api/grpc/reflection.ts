/** gRPC server reflection, versions v1 and v1alpha, from descriptors that were made from proto/ at build time. */
import type { Server } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { service as healthService } from "grpc-health-check";
import { DESCRIPTORS } from "../../gen/descriptors.ts";

/** Lets callers ask the server for its services and messages. */
export function addReflection(server: Server): void {
  const files = Object.values(DESCRIPTORS).map((text) => Buffer.from(text, "base64"));
  const healthFiles = Object.values(healthService).flatMap(
    (method) => method.requestType.fileDescriptorProtos,
  );
  new ReflectionService({
    // The library takes the files of any entry together; name and kind of the entry mean nothing to it.
    all: {
      format: "Protocol Buffer 3 DescriptorProto",
      type: {},
      fileDescriptorProtos: [...files, ...healthFiles],
    },
  }).addToServer(server);
}
