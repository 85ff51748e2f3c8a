/**
 * The standard health service, `grpc.health.v1.Health`. One status for the whole server: `""` and every service name it
 * serves have the same. Its own handlers rather than the library's, whose table of watched names grows with each name
 * that a caller makes up.
 */
import {
  type sendUnaryData,
  type Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  status as Rpc,
} from "@grpc/grpc-js";
import { service as healthService, type ServingStatus } from "grpc-health-check";

interface HealthRequest {
  readonly service: string;
}
interface HealthResponse {
  readonly status: ServingStatus | "SERVICE_UNKNOWN";
}

export interface Health {
  /** Tells watchers when the status changes. A closed health service stays NOT_SERVING. */
  setServing(isServing: boolean): void;
  /** Says NOT_SERVING for the last time and ends the watchers' streams. */
  close(): void;
}

/** Adds the health service, NOT_SERVING until told otherwise. */
export function addHealth(server: Server, serviceNames: readonly string[]): Health {
  const known = new Set(["", ...serviceNames]);
  const watchers = new Set<ServerWritableStream<HealthRequest, HealthResponse>>();
  let status: ServingStatus = "NOT_SERVING";
  let isClosed = false;

  server.addService(healthService, {
    check(
      call: ServerUnaryCall<HealthRequest, HealthResponse>,
      callback: sendUnaryData<HealthResponse>,
    ): void {
      const { service } = call.request;
      if (known.has(service)) callback(null, { status });
      else callback({ code: Rpc.NOT_FOUND, details: unknownService(service) });
    },
    watch(call: ServerWritableStream<HealthRequest, HealthResponse>): void {
      const isKnown = known.has(call.request.service);
      call.write({ status: isKnown ? status : "SERVICE_UNKNOWN" });
      if (isClosed) {
        call.end();
        return;
      }
      watchers.add(call);
      call.once("cancelled", () => watchers.delete(call));
    },
    list(_call: unknown, callback: sendUnaryData<object>): void {
      callback(null, {
        statuses: Object.fromEntries([...known].map((service) => [service, { status }])),
      });
    },
  });

  const setServing = (isServing: boolean): void => {
    const next = isServing && !isClosed ? "SERVING" : "NOT_SERVING";
    if (next === status) return;
    status = next;
    for (const watcher of watchers) {
      if (known.has(watcher.request.service)) watcher.write({ status });
    }
  };
  return {
    setServing,
    close() {
      isClosed = true;
      setServing(false);
      for (const watcher of watchers) watcher.end();
      watchers.clear();
    },
  };
}

function unknownService(service: string): string {
  return `Expected the name of a service of this server, received ${JSON.stringify(service.slice(0, 80).toWellFormed())}.`;
}
