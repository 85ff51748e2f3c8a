/** The door of specification 2: `POST /api/jobs` and `GET /api/job-status/{id}`. */
import { Type } from "@fastify/type-provider-typebox";
import { cutText } from "../../domain/cut-text.ts";
import type { JobState } from "../../domain/job.ts";
import { AppError } from "../../errors.ts";
import type { HttpApp } from "../rest/app.ts";
import { parseOptionalInstant } from "../rest/instant.ts";
import { withJsonMembers } from "../rest/job-json.ts";
import { exactJson, memberOf } from "../rest/json-body.ts";
import { optional, orNull, textOf } from "../rest/optional.ts";
import { refusals } from "../rest/refusals.ts";
import type { Operations } from "../operations.ts";

const STATUSES = ["Pending", "In-Progress", "Completed", "Failed"] as const;
type Status = (typeof STATUSES)[number];

const STATUS_OF = {
  waiting: "Pending",
  scheduled: "Pending",
  queued: "Pending",
  running: "In-Progress",
  succeeded: "Completed",
  dead: "Failed",
  cancelled: "Failed",
} as const satisfies Record<JobState, Status>;

const ONE_TIME = ["one-time", "once"];

export const PlatformJobStatus = Type.Object(
  {
    job_id: Type.String(),
    name: Type.String(),
    status: Type.Enum(STATUSES, { type: "string" }),
    error: orNull(Type.String()),
    result: Type.Optional(Type.Unknown()),
  },
  { $id: "PlatformJobStatus" },
);

export function platformDoor(app: HttpApp, operations: Operations): void {
  app.post(
    "/api/jobs",
    {
      schema: {
        summary: "Submits a one-time job (specification 2)",
        description: "name is the task, payload its input. A schedule is the time of the start.",
        tags: ["compatibility"],
        body: Type.Object(
          {
            name: Type.String({ description: "Name of a task." }),
            type: optional(Type.String({ description: "one-time (default)." })),
            schedule: optional(Type.String({ description: "RFC 3339 with an offset." })),
            priority: optional(Type.Integer({ description: "Higher first. Default: 0." })),
            payload: Type.Optional(Type.Unknown({ description: "Any JSON. Absent: null." })),
          },
          { additionalProperties: false },
        ),
        response: {
          201: Type.Object({
            job_id: Type.String(),
            status: Type.Enum(STATUSES, { type: "string" }),
          }),
          ...refusals(400, 413, 415, 429),
        },
      },
    },
    async (request, reply) => {
      const { name, type, schedule, priority } = request.body;
      requireOneTime(type ?? "one-time");
      const payload = memberOf(exactJson(request.body, request.bodyText), "payload");
      const [result] = await operations.submit([
        {
          task: name,
          input: JSON.stringify(payload ?? null),
          priority: priority ?? undefined,
          runAt: parseOptionalInstant("schedule", schedule),
        },
      ]);
      if (result === undefined) throw new Error("submit answered one job with no result");
      return reply
        .code(201)
        .header("location", `/api/job-status/${result.jobId}`)
        .send({ job_id: result.jobId, status: "Pending" });
    },
  );

  app.get(
    "/api/job-status/:id",
    {
      schema: {
        summary: "Status of a job (specification 2)",
        tags: ["compatibility"],
        params: Type.Object({ id: Type.String() }),
        response: { 200: textOf(PlatformJobStatus), ...refusals(400, 404) },
      },
    },
    async (request, reply) => {
      const job = await operations.jobGet(request.params.id);
      const status: Status = STATUS_OF[job.state];
      const fields = { job_id: job.id, name: job.task, status, error: job.error?.message ?? null };
      return reply.type("application/json").send(withJsonMembers(fields, { result: job.result }));
    },
  );
}

/** @throws AppError invalid_argument */
function requireOneTime(type: string): void {
  if (ONE_TIME.includes(type.toLowerCase())) return;
  throw new AppError(
    "invalid_argument",
    type.toLowerCase() === "cron"
      ? "cron jobs are not supported by this server version; expected type one-time"
      : `type must be one-time; received ${JSON.stringify(cutText(type, 80))}`,
    { field: "type" },
  );
}
