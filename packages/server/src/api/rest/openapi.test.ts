import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { aJob, fakeOperations, JOB_ID } from "../../../test/fake-operations.ts";
import { anHttpApp, problemLine } from "../../../test/http-app.ts";
import { ERRORS } from "../../errors.ts";
import type { Operations } from "../operations.ts";

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly required?: readonly string[];
  readonly properties?: Record<string, Schema>;
}
interface RequestBody {
  readonly content: { readonly "application/json": { readonly schema: Schema } };
}
interface Operation {
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly requestBody?: RequestBody;
  readonly responses: Record<string, { readonly content?: Record<string, { schema: object }> }>;
  readonly parameters?: readonly { readonly in: string }[];
}
interface Document {
  readonly openapi: string;
  readonly info: { readonly version: string };
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, Schema> };
}

const AT = new Date("2026-11-22T10:00:00.000Z");
const ERROR = { code: "Error", message: "no" };

/** Operations whose answers have every property once and lack every optional one once. */
function fullOperations(): Operations {
  const job = aJob({
    state: "succeeded",
    input: "1",
    result: "2",
    progress: "3",
    error: { ...ERROR, stack: "at x" },
    runAt: AT,
    startedAt: AT,
    finishedAt: AT,
    cancelRequestedAt: AT,
    cancelReason: "r",
    uniqueKey: "u",
    worker: "w",
    inputContentType: "image/png",
    attemptTimeoutMs: 5,
  });
  const line = { attempt: 1, at: AT, level: "info", message: "hi" } as const;
  const queue = { name: "q", queuedCount: 1, scheduledCount: 2, runningCount: 3 };
  const task = {
    name: "t",
    description: "d",
    maxAttempts: 1,
    retry: { strategy: "fixed", baseMs: 1, maxMs: 2, jitter: "none" },
    attemptTimeoutMs: 1,
    queueTimeoutMs: 2,
    deadlineMs: 3,
    heartbeatTimeoutMs: 4,
    cancelGraceMs: 5,
    inputSchema: "{}",
    updatedAt: AT,
  } as const;
  return fakeOperations({
    jobGet: async () => job,
    attemptList: async () => [
      { attempt: 1, outcome: "retry", worker: "w", leasedAt: AT, startedAt: AT, error: ERROR },
      { attempt: 2 },
    ],
    jobList: async () => ({ items: [aJob(), job], nextCursor: "c" }),
    logList: async () => ({ items: [line, { ...line, fields: "{}" }] }),
    queueList: async () => [
      { ...queue, isPaused: false },
      { ...queue, isPaused: true, pausedAt: AT, pauseReason: "r", oldestQueuedAt: AT },
    ],
    taskList: async () => [{ name: "t" }, task],
    taskGet: async () => task,
    workerList: async () => [
      {
        id: "w",
        name: "w",
        state: "active",
        server: "s",
        host: "h",
        pid: 1,
        sdk: "x",
        slots: 1,
        runningCount: 0,
        tasks: ["t"],
        queues: ["q"],
        labels: { a: "b" },
        connectedAt: AT,
        seenAt: AT,
      },
    ],
    serverList: async () => [
      {
        id: "s",
        name: "s",
        version: "1",
        startedAt: AT,
        renewedAt: AT,
        workerCount: 1,
        isAlive: true,
      },
    ],
  });
}

describe("the OpenAPI document", () => {
  async function operations(): Promise<[string, "GET" | "POST" | "PUT", Operation][]> {
    const { paths } = (await anHttpApp().inject("/api/v1/openapi.json")).json<Document>();
    return Object.entries(paths).flatMap(([path, methods]) =>
      (["GET", "POST", "PUT"] as const).flatMap((method) => {
        const operation = methods[method.toLowerCase()];
        return operation === undefined
          ? []
          : [
              [path.replaceAll(/\{\w+\}/g, "x"), method, operation] satisfies [
                string,
                string,
                Operation,
              ],
            ];
      }),
    );
  }

  /** The properties that a body must have, each with a value of its type. */
  function requiredProperties(
    { components }: Document,
    body: RequestBody | undefined,
  ): Record<string, unknown> {
    const given = body?.content["application/json"].schema;
    const schema = components.schemas[given?.$ref?.split("/").at(-1) ?? ""] ?? given;
    const values: Record<string, unknown> = { string: "x", object: {}, array: [{}] };
    return Object.fromEntries(
      (schema?.required ?? []).map((name) => [
        name,
        values[schema?.properties?.[name]?.type ?? "object"],
      ]),
    );
  }

  it("names every route", async () => {
    const response = await anHttpApp({}, { version: "1.2.3" }).inject("/api/v1/openapi.json");

    const document = response.json<Document>();
    assert.equal(document.openapi, "3.1.0");
    assert.equal(document.info.version, "1.2.3");
    assert.deepEqual(
      Object.entries(document.paths)
        .flatMap(([path, methods]) =>
          Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
        )
        .sort(),
      [
        "GET /api/job-status/{id}",
        "GET /api/v1/events",
        "GET /api/v1/jobs",
        "GET /api/v1/jobs/{id}",
        "GET /api/v1/jobs/{id}/attempts",
        "GET /api/v1/jobs/{id}/events",
        "GET /api/v1/jobs/{id}/logs",
        "GET /api/v1/jobs/{id}/result",
        "GET /api/v1/queues",
        "GET /api/v1/servers",
        "GET /api/v1/tasks",
        "GET /api/v1/tasks/{name}",
        "GET /api/v1/workers",
        "GET /health",
        "GET /job/{id}",
        "GET /ready",
        "POST /api/jobs",
        "POST /api/v1/jobs",
        "POST /api/v1/jobs/bulk",
        "POST /api/v1/jobs/cancel",
        "POST /api/v1/jobs/redrive",
        "POST /api/v1/jobs/{id}/cancel",
        "POST /api/v1/jobs/{id}/redrive",
        "POST /api/v1/queues/{name}/pause",
        "POST /api/v1/queues/{name}/resume",
        "POST /job",
        "PUT /api/v1/tasks/{name}",
      ],
    );
  });

  it("has the routes of docs/rest.md", async () => {
    const page = await readFile(join(import.meta.dirname, "../../../../../docs/rest.md"), "utf8");
    const { paths } = (await anHttpApp().inject("/api/v1/openapi.json")).json<Document>();

    const routes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );

    const written = [...page.matchAll(/`((?:GET|POST|PUT) \/[^`]*)`/g)].map((match) => match[1]);
    assert.deepEqual(new Set(written), new Set(routes));
  });

  it("says what each route is for", async () => {
    const silent = (await operations()).filter(
      ([, , operation]) => operation.summary === undefined || operation.tags === undefined,
    );

    assert.deepEqual(silent, []);
  });

  it("refers only to schemas that it has", async () => {
    const response = await anHttpApp().inject("/api/v1/openapi.json");

    const { components } = response.json<Document>();
    const references = [...response.body.matchAll(/"\$ref":"([^"]*)"/g)].map((match) => match[1]);
    const known = Object.keys(components.schemas).map((name) => `#/components/schemas/${name}`);
    assert.ok(references.length > 20);
    assert.deepEqual(
      references.filter((reference) => !known.includes(reference ?? "")),
      [],
    );
  });

  it("is true about bodies: every route that has one refuses an unknown property", async () => {
    const app = anHttpApp();
    const document = (await app.inject("/api/v1/openapi.json")).json<Document>();
    const withBody = (await operations()).filter(
      ([, , { requestBody }]) => requestBody !== undefined,
    );
    assert.equal(withBody.length, 11);

    for (const [path, method, { requestBody }] of withBody) {
      const payload = { ...requiredProperties(document, requestBody), zzz: 1 };
      const response = await app.inject({ method, url: path, payload });

      assert.match(problemLine(response), /^400 invalid_argument: unknown property zzz;/, path);
    }
  });

  it("is true about queries: every route that has one refuses an unknown parameter", async () => {
    const app = anHttpApp();
    const withQuery = (await operations()).filter(([, , { parameters }]) =>
      parameters?.some((parameter) => parameter.in === "query"),
    );
    assert.equal(withQuery.length, 4);

    for (const [path] of withQuery) {
      const response = await app.inject(`${path}?zzz=1`);

      assert.match(
        problemLine(response),
        /^400 invalid_argument: unknown query parameter zzz;/,
        path,
      );
    }
  });
});

describe("the answers of routes that look at something", () => {
  it("have the documented shape", async () => {
    const app = anHttpApp({}, { operations: fullOperations() });
    const document = (await app.inject("/api/v1/openapi.json")).json<Document>();
    const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
    ajv.addSchema(document, "openapi");
    const checked: string[] = [];

    for (const [path, { get }] of Object.entries(document.paths)) {
      const schema = get?.responses["200"]?.content?.["application/json"]?.schema;
      if (schema === undefined) continue;
      const url = path.replace("{id}", JOB_ID).replace("{name}", "t");
      const response = await app.inject(url);
      const resolved: object = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi#/'));
      const check = ajv.compile(resolved);

      assert.equal(check(response.json()), true, `${url}: ${ajv.errorsText(check.errors)}`);
      checked.push(path);
    }
    assert.equal(checked.length, 12);
  });
});

describe("the documentation pages", () => {
  it("load nothing from elsewhere", async () => {
    const app = anHttpApp();

    const page = await app.inject("/api/v1/docs");

    const files = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? "");
    assert.equal(page.statusCode, 200);
    assert.ok(files.length >= 5);
    for (const file of files) {
      assert.match(file, /^\/api\/v1\/docs\/static\//);
      assert.equal((await app.inject(file)).statusCode, 200, file);
    }
    const policy = String(page.headers["content-security-policy"]);
    assert.match(policy, /^default-src 'self';/);
    assert.doesNotMatch(policy, /http|\*/);
  });

  it("explain every error code where a problem's type points", async () => {
    const response = await anHttpApp().inject("/api/v1/docs/errors");

    const ids = [...response.body.matchAll(/<tr id="(\w+)">/g)].map((match) => match[1]);
    assert.deepEqual(ids, Object.keys(ERRORS));
    assert.equal(response.headers["content-type"], "text/html; charset=utf-8");
  });
});
