/** baton.v1.WorkerService: the list of workers here, the worker stream given by the dispatcher's side. */
import type { handleBidiStreamingCall } from "@grpc/grpc-js";
import {
  ListWorkersRequest,
  type ServerMessage,
  type Worker,
  WorkerMessage,
  WorkerServiceService,
} from "@baton/sdk/contract";
import type { WorkerView } from "../../domain/views.ts";
import type { Operations } from "../operations.ts";
import { type Decoded, decodeMessage } from "./decode.ts";
import { type MethodContext, type Methods, unary } from "./methods.ts";

/** Takes the stream of one worker; it answers errors itself. */
export type WorkerConnect = handleBidiStreamingCall<Decoded<WorkerMessage>, ServerMessage>;

export function workerMethods(
  operations: Operations,
  context: MethodContext,
  workerConnect: WorkerConnect,
): Methods<typeof WorkerServiceService> {
  const { connect, list } = WorkerServiceService;
  return {
    connect: (server) => {
      server.register<Decoded<WorkerMessage>, ServerMessage>(
        connect.path,
        workerConnect,
        connect.responseSerialize,
        decodeMessage(WorkerMessage),
        "bidi",
      );
    },
    list: unary(context, list, decodeMessage(ListWorkersRequest), async () => ({
      workers: (await operations.workerList()).map(workerMessage),
    })),
  };
}

function workerMessage(worker: WorkerView): Worker {
  return {
    ...worker,
    tasks: [...worker.tasks],
    queues: [...worker.queues],
    labels: { ...worker.labels },
  };
}
