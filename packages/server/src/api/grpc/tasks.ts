/** baton.v1.TaskService. */
import {
  GetTaskRequest,
  ListTasksRequest,
  TaskDefinition,
  TaskServiceService,
} from "@baton/sdk/contract";
import type { Operations } from "../operations.ts";
import { decodeMessage } from "./decode.ts";
import { type MethodContext, type Methods, unary } from "./methods.ts";
import { taskDefinitionFromMessage, taskDefinitionMessage } from "./task-message.ts";

export function taskMethods(
  operations: Operations,
  context: MethodContext,
): Methods<typeof TaskServiceService> {
  const service = TaskServiceService;
  return {
    put: unary(context, service.put, decodeMessage(TaskDefinition), async (message) =>
      taskDefinitionMessage(await operations.taskPut(taskDefinitionFromMessage(message))),
    ),
    get: unary(context, service.get, decodeMessage(GetTaskRequest), async ({ name }) =>
      taskDefinitionMessage(await operations.taskGet(name)),
    ),
    list: unary(context, service.list, decodeMessage(ListTasksRequest), async () => ({
      tasks: (await operations.taskList()).map(taskDefinitionMessage),
    })),
  };
}
