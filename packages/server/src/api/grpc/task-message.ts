/** Between TaskDefinition messages and the domain's task definitions. */
import type {
  RetryPolicy as RetryPolicyMessage,
  TaskDefinition as TaskDefinitionMessage,
} from "@baton/sdk/contract";
import { cutText } from "../../domain/cut-text.ts";
import { parseJsonText } from "../../domain/json-text.ts";
import { RETRY_JITTERS, RETRY_STRATEGIES, type RetryPolicy } from "../../domain/retry.ts";
import type { TaskDefinition } from "../../domain/views.ts";
import { AppError } from "../../errors.ts";
import { presentText } from "./present.ts";

/**
 * Translates a definition; ranges are checked by the operation.
 *
 * @throws AppError invalid_argument, malformed_json, payload_too_large (an input schema above 1 MiB)
 */
export function taskDefinitionFromMessage(message: TaskDefinitionMessage): TaskDefinition {
  return {
    name: message.name,
    description: presentText(message.description),
    maxAttempts: message.maxAttempts,
    retry: retryPolicyFromMessage(message.retry),
    attemptTimeoutMs: message.attemptTimeoutMs,
    queueTimeoutMs: message.queueTimeoutMs,
    deadlineMs: message.deadlineMs,
    heartbeatTimeoutMs: message.heartbeatTimeoutMs,
    cancelGraceMs: message.cancelGraceMs,
    inputSchema: schemaText(message.inputSchema),
  };
}

/** @throws AppError invalid_argument for an unknown strategy or jitter */
export function retryPolicyFromMessage(
  message: RetryPolicyMessage | undefined,
): RetryPolicy | undefined {
  if (message === undefined) return undefined;
  return {
    strategy: oneOf("retry.strategy", message.strategy, RETRY_STRATEGIES),
    baseMs: message.baseMs,
    maxMs: message.maxMs,
    jitter: oneOf("retry.jitter", message.jitter, RETRY_JITTERS),
  };
}

/** The message of a definition. */
export function taskDefinitionMessage(definition: TaskDefinition): TaskDefinitionMessage {
  const { retry } = definition;
  return {
    name: definition.name,
    description: definition.description ?? "",
    maxAttempts: definition.maxAttempts,
    retry: retry && {
      strategy: retry.strategy ?? "",
      baseMs: retry.baseMs,
      maxMs: retry.maxMs,
      jitter: retry.jitter ?? "",
    },
    attemptTimeoutMs: definition.attemptTimeoutMs,
    queueTimeoutMs: definition.queueTimeoutMs,
    deadlineMs: definition.deadlineMs,
    heartbeatTimeoutMs: definition.heartbeatTimeoutMs,
    cancelGraceMs: definition.cancelGraceMs,
    inputSchema: Buffer.from(definition.inputSchema ?? ""),
    updatedAt: definition.updatedAt,
  };
}

function schemaText(bytes: Buffer): string | undefined {
  if (bytes.length === 0) return undefined;
  const parsed = parseJsonText(bytes);
  if (parsed.kind === "ok") return parsed.text;
  throw new AppError(parsed.code, `inputSchema must be JSON: ${parsed.message}`, {
    field: "inputSchema",
  });
}

function oneOf<Member extends string>(
  field: string,
  text: string,
  members: readonly Member[],
): Member | undefined {
  if (text === "") return undefined;
  const member = members.find((candidate) => candidate === text);
  if (member !== undefined) return member;
  throw new AppError(
    "invalid_argument",
    `${field} must be one of ${members.join(", ")}; received ${JSON.stringify(cutText(text, 80))}`,
    { field },
  );
}
