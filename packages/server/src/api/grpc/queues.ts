/** baton.v1.QueueService. */
import {
  ListQueuesRequest,
  PauseQueueRequest,
  type Queue,
  QueueServiceService,
  ResumeQueueRequest,
} from "@baton/sdk/contract";
import type { QueueView } from "../../domain/views.ts";
import type { Operations } from "../operations.ts";
import { decodeMessage } from "./decode.ts";
import { type MethodContext, type Methods, unary } from "./methods.ts";
import { presentText } from "./present.ts";

export function queueMethods(
  operations: Operations,
  context: MethodContext,
): Methods<typeof QueueServiceService> {
  const service = QueueServiceService;
  return {
    list: unary(context, service.list, decodeMessage(ListQueuesRequest), async () => ({
      queues: (await operations.queueList()).map(queueMessage),
    })),
    pause: unary(context, service.pause, decodeMessage(PauseQueueRequest), async (request) =>
      queueMessage(await operations.queuePause(request.name, presentText(request.reason))),
    ),
    resume: unary(context, service.resume, decodeMessage(ResumeQueueRequest), async (request) =>
      queueMessage(await operations.queueResume(request.name)),
    ),
  };
}

function queueMessage(queue: QueueView): Queue {
  return {
    name: queue.name,
    isPaused: queue.isPaused,
    pausedAt: queue.pausedAt,
    pauseReason: queue.pauseReason ?? "",
    queuedCount: queue.queuedCount,
    scheduledCount: queue.scheduledCount,
    runningCount: queue.runningCount,
    oldestQueuedAt: queue.oldestQueuedAt,
  };
}
