/** Ways into a Baton server below its SDK, for what one call costs. They only submit one job at a time. */
import { Agent, request } from "node:http";

import { JobServiceClient, JobSpec } from "@baton/sdk/contract";
import { Client as GrpcClient, credentials } from "@grpc/grpc-js";

import type { Client } from "./system.ts";

export type Door = "baton-grpc" | "baton-empty" | "baton-rest";

/** Opens a door by its name. @returns `undefined` when it is none */
export function openDoor(name: string, target: string): Client | undefined {
  switch (name) {
    case "baton-grpc":
      return grpcDoor(target);
    case "baton-empty":
      return emptyDoor(target);
    case "baton-rest":
      return restDoor(target);
  }
  return undefined;
}

/** `Submit` by the generated client, without what the SDK adds. */
function grpcDoor(address: string): Client {
  const client = new JobServiceClient(address, credentials.createInsecure());
  const spec = JobSpec.create({ task: "noop", input: Buffer.from("{}") });
  return oneByOne(
    (done) => void client.submit(spec, done),
    () => client.close(),
  );
}

/** A unary method that does nothing: `Check` of the health service. What the transport alone can do. */
function emptyDoor(address: string): Client {
  const client = new GrpcClient(address, credentials.createInsecure());
  const nothing = Buffer.alloc(0);
  const same = (bytes: Buffer): Buffer => bytes;
  return oneByOne(
    (done) =>
      void client.makeUnaryRequest("/grpc.health.v1.Health/Check", same, same, nothing, done),
    () => client.close(),
  );
}

function restDoor(origin: string): Client {
  const agent = new Agent({ keepAlive: true });
  const body = JSON.stringify({ task: "noop", input: {} });
  const headers = { "content-type": "application/json", "content-length": body.length };
  return oneByOne(
    (done) => {
      const call = request(
        `${origin}/api/v1/jobs`,
        { method: "POST", agent, headers },
        (answer) => {
          answer.resume();
          answer.once("end", () => {
            const { statusCode = 0 } = answer;
            done(statusCode < 300 ? null : new Error(`POST /api/v1/jobs answered ${statusCode}`));
          });
        },
      );
      call.once("error", done);
      call.end(body);
    },
    () => agent.destroy(),
  );
}

function oneByOne(call: (done: (error: Error | null) => void) => void, close: () => void): Client {
  return {
    submit: () =>
      new Promise((resolve, reject) => {
        call((error) => (error === null ? resolve() : reject(error)));
      }),
    submitMany: () => Promise.reject(new Error("this door takes jobs one by one")),
    close: () => Promise.resolve(close()),
  };
}
