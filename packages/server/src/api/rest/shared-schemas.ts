import type { TSchema } from "@fastify/type-provider-typebox";
import { OrchestratorJobStatus } from "../doors/http-orchestrator.ts";
import { PlatformJobStatus } from "../doors/http-platform.ts";
import { JobBody } from "./job-body.ts";
import {
  Attempt,
  Job,
  JobEvent,
  JobPage,
  JobResult,
  JobWithAttempts,
  LogLine,
  LogPage,
} from "./job-json.ts";
import { Submitted } from "./job-submit.ts";
import { Problem } from "./problem.ts";
import { Queue } from "./queues.ts";
import { Task, TaskList } from "./tasks.ts";
import { Server, Worker } from "./workers.ts";

/**
 * Schemas that others refer to by `$id`. The app adds all of them before its first scope: a scope of
 * Fastify that adds a schema of its own silently falls back to Fastify's default validator, which
 * drops unknown properties and turns text into numbers.
 */
export const SHARED_SCHEMAS: readonly TSchema[] = [
  Attempt,
  Job,
  JobBody,
  JobEvent,
  JobPage,
  JobResult,
  JobWithAttempts,
  LogLine,
  LogPage,
  OrchestratorJobStatus,
  PlatformJobStatus,
  Problem,
  Queue,
  Server,
  Submitted,
  Task,
  TaskList,
  Worker,
];
