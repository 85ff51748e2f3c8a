/** POST /jobs and POST /jobs/bulk. */
import { Type } from "@fastify/type-provider-typebox";
import type { FastifyRequest } from "fastify";
import { JOB_STATES } from "../../domain/job.ts";
import type { JobSpec, SubmitResult } from "../../domain/job-spec.ts";
import { BULK_JOBS_MAX, MESSAGE_BYTES_MAX } from "../../domain/limits.ts";
import { AppError, type BadJob } from "../../errors.ts";
import type { HttpApp } from "./app.ts";
import { JobBody, jobSpecOf } from "./job-body.ts";
import { acceptJson, exactJson, memberOf } from "./json-body.ts";
import { refTo } from "./optional.ts";
import { refusals } from "./refusals.ts";
import type { RouteOptions } from "./routes.ts";
import { compileShape, shapeError, show } from "./shape.ts";

export const Submitted = Type.Object(
  {
    id: Type.String({ format: "uuid" }),
    state: Type.String({ enum: JOB_STATES, description: "State at acceptance." }),
    isDuplicate: Type.Boolean({
      description: "True when an idempotency key or a unique key led to an earlier job.",
    }),
  },
  { $id: "Submitted" },
);

/** Items are checked one by one in the handler, so that every bad one is reported with its index. */
const BulkBody = Type.Object(
  {
    jobs: Type.Unsafe<readonly unknown[]>({
      type: "array",
      minItems: 1,
      maxItems: BULK_JOBS_MAX,
      items: refTo(JobBody),
    }),
  },
  { additionalProperties: false },
);

/** The documented schema of {@link BulkBody} without the items' own. */
const LooseBulkBody = {
  type: "object",
  properties: { jobs: { type: "array", minItems: 1, maxItems: BULK_JOBS_MAX } },
  required: ["jobs"],
  additionalProperties: false,
};

export function submitRoutes(app: HttpApp, { operations }: RouteOptions): void {
  app.post(
    "/jobs",
    {
      schema: {
        operationId: "submitJob",
        summary: "Submits a job",
        description:
          "Answered after the job is stored: 201, or 200 when a key led to an earlier job. The " +
          "header Idempotency-Key does the same as the property idempotencyKey.",
        tags: ["jobs"],
        body: JobBody,
        response: {
          200: refTo(Submitted),
          201: refTo(Submitted),
          ...refusals(400, 409, 413, 415, 429),
        },
      },
    },
    async (request, reply) => {
      const exact = exactJson(request.body, request.bodyText);
      const spec = jobSpecOf(withIdempotencyKey(request, request.body), memberOf(exact, "input"));
      const [result] = await operations.submit([spec]);
      if (result === undefined) throw new Error("submit answered one job with no result");
      return reply
        .code(result.isDuplicate ? 200 : 201)
        .header("location", `/api/v1/jobs/${result.jobId}`)
        .send(submittedOf(result));
    },
  );

  void app.register(async (scope: HttpApp) => {
    // The body, its array and each job stand around an input.
    acceptJson(scope, 3);
    scope.post(
      "/jobs/bulk",
      {
        bodyLimit: MESSAGE_BYTES_MAX,
        validatorCompiler: () => {
          const check = compileShape(LooseBulkBody);
          return (body: unknown) => check(body) || { error: shapeError(check.errors) };
        },
        schema: {
          operationId: "submitJobs",
          summary: "Submits 1 to 10,000 jobs, all or none",
          description:
            "Every bad job is reported with its index in details.items of a bulk_rejected problem; " +
            "then none is accepted. A single bad job gets the problem that it has by itself.",
          tags: ["jobs"],
          body: BulkBody,
          response: {
            201: Type.Object({
              jobs: Type.Array(refTo(Submitted), { description: "In the order of the request." }),
            }),
            ...refusals(400, 409, 413, 415, 429),
          },
        },
      },
      async (request, reply) => {
        if (request.headers["idempotency-key"] !== undefined) {
          throw new AppError(
            "invalid_argument",
            "the header Idempotency-Key is about one job; give each job of a bulk call its " +
              "idempotencyKey instead",
          );
        }
        const { specs, unread } = bulkJobs(request.body.jobs, request.bodyText);
        const results = await operations.submit(specs, unread);
        return reply.code(201).send({ jobs: results.map(submittedOf) });
      },
    );
  });
}

const isJobBody = compileShape<JobBody>(JobBody);

interface BulkJobs {
  readonly specs: readonly JobSpec[];
  readonly unread: readonly BadJob[];
}

/** Jobs of a wrong shape stand aside, so that the operation tells of them and of every other bad one. */
function bulkJobs(jobs: readonly unknown[], text: string): BulkJobs {
  const exactJobs = memberOf(exactJson({ jobs }, text), "jobs");
  const specs: JobSpec[] = [];
  const unread: BadJob[] = [];
  for (const [index, job] of jobs.entries()) {
    try {
      if (typeof job !== "object" || job === null || Array.isArray(job)) throw notAJob(job);
      if (!isJobBody(job)) throw shapeError(isJobBody.errors);
      specs.push(jobSpecOf(job, memberOf(memberOf(exactJobs, index), "input")));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      unread.push({ index, error });
    }
  }
  return { specs, unread };
}

function notAJob(received: unknown): AppError {
  return new AppError("invalid_argument", `the job must be an object; received ${show(received)}`);
}

function withIdempotencyKey(request: FastifyRequest, body: JobBody): JobBody {
  const key = idempotencyHeader(request);
  if (key === undefined) return body;
  if (
    body.idempotencyKey !== undefined &&
    body.idempotencyKey !== null &&
    body.idempotencyKey !== key
  ) {
    throw new AppError(
      "invalid_argument",
      "the header Idempotency-Key and the property idempotencyKey must be equal; received " +
        `${JSON.stringify(key)} and ${JSON.stringify(body.idempotencyKey)}`,
      { field: "idempotencyKey" },
    );
  }
  return { ...body, idempotencyKey: key };
}

function idempotencyHeader({ headers, raw }: FastifyRequest): string | undefined {
  const header = headers["idempotency-key"];
  if (header === undefined) return undefined;
  // Node joins headers of one name into one that nobody sent.
  const count = raw.rawHeaders.filter((name) => name.toLowerCase() === "idempotency-key").length;
  if (count > 1) {
    throw new AppError(
      "invalid_argument",
      `expected one header Idempotency-Key; received ${count}`,
      { field: "idempotencyKey" },
    );
  }
  const key = String(header);
  // Headers have no encoding: Node would read another key than the same one as a property.
  if (/[^\u0000-\u007f]/.test(key)) {
    throw new AppError(
      "invalid_argument",
      "the header Idempotency-Key must be ASCII; give other text in the property idempotencyKey",
      { field: "idempotencyKey" },
    );
  }
  return key;
}

function submittedOf(result: SubmitResult): { id: string; state: string; isDuplicate: boolean } {
  return { id: result.jobId, state: result.state, isDuplicate: result.isDuplicate };
}
