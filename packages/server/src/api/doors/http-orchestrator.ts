/** The door of specification 3: `POST /job` and `GET /job/{id}`. */
import { Type } from "@fastify/type-provider-typebox";
import type { JobState } from "../../domain/job.ts";
import type { JobView } from "../../domain/views.ts";
import { AppError } from "../../errors.ts";
import type { HttpApp } from "../rest/app.ts";
import { withJsonMembers } from "../rest/job-json.ts";
import { exactJson, memberOf } from "../rest/json-body.ts";
import { textOf } from "../rest/optional.ts";
import { refusals } from "../rest/refusals.ts";
import type { Operations } from "../operations.ts";

const STATUSES = ["queued", "in_progress", "completed", "failed", "not_found"] as const;
type Status = (typeof STATUSES)[number];

const STATUS_OF = {
  waiting: "queued",
  scheduled: "queued",
  queued: "queued",
  running: "in_progress",
  succeeded: "completed",
  dead: "failed",
  cancelled: "failed",
} as const satisfies Record<JobState, Status>;

export const OrchestratorJobStatus = Type.Object(
  {
    job_id: Type.String(),
    status: Type.Enum(STATUSES, { type: "string" }),
    result: Type.Unknown({ description: "null until completed." }),
  },
  { $id: "OrchestratorJobStatus" },
);

export function orchestratorDoor(app: HttpApp, operations: Operations): void {
  app.post(
    "/job",
    {
      schema: {
        summary: "Submits a job (specification 3)",
        description: "The task's input is the array args.",
        tags: ["compatibility"],
        body: Type.Object(
          { task: Type.String(), args: Type.Optional(Type.Array(Type.Unknown())) },
          { additionalProperties: false },
        ),
        response: {
          201: Type.Object({ job_id: Type.String() }),
          ...refusals(400, 413, 415, 429),
        },
      },
    },
    async (request, reply) => {
      const args = memberOf(exactJson(request.body, request.bodyText), "args");
      const [result] = await operations.submit([
        { task: request.body.task, input: JSON.stringify(args ?? []) },
      ]);
      if (result === undefined) throw new Error("submit answered one job with no result");
      return reply
        .code(201)
        .header("location", `/job/${result.jobId}`)
        .send({ job_id: result.jobId });
    },
  );

  app.get(
    "/job/:id",
    {
      schema: {
        summary: "Status of a job (specification 3)",
        tags: ["compatibility"],
        params: Type.Object({ id: Type.String() }),
        response: {
          200: textOf(OrchestratorJobStatus),
          404: textOf(OrchestratorJobStatus),
          ...refusals(400),
        },
      },
    },
    async (request, reply) => {
      const job = await jobOrUndefined(operations, request.params.id);
      // Clients of this surface read `status`, which for them covers an unknown id too.
      void reply.code(job === undefined ? 404 : 200).type("application/json");
      const status = job === undefined ? "not_found" : STATUS_OF[job.state];
      return reply.send(statusJson(request.params.id, status, job?.result));
    },
  );
}

async function jobOrUndefined(operations: Operations, jobId: string): Promise<JobView | undefined> {
  try {
    return await operations.jobGet(jobId);
  } catch (error) {
    if (error instanceof AppError && error.code === "job_not_found") return undefined;
    throw error;
  }
}

function statusJson(jobId: string, status: Status, result: string | undefined): string {
  return withJsonMembers({ job_id: jobId, status }, { result: result ?? "null" });
}
