/** What the demo submits, and what must come of it. */
import type { Client, Job } from "@baton/sdk";

/** What happened, for the table at the end. */
export interface ActResult {
  readonly cameOut: string;
  readonly isAsExpected: boolean;
}

export interface Stage {
  readonly client: Client;
  /** `http://127.0.0.1:port` of the demo's own pages. */
  readonly site: string;
  /** Told of progress between 0 and 1. */
  readonly onProgress: (share: number) => void;
}

export interface Act {
  readonly what: string;
  readonly expected: string;
  readonly play: (stage: Stage) => Promise<ActResult>;
}

const BULK_JOBS = 10_000;
const BULK_CALL = 1_000;

export const ACTS: readonly Act[] = [
  {
    what: "echo",
    expected: "its input back",
    play: async ({ client }) => {
      const result = await run(client, "echo", { hello: "world" });
      return came(JSON.stringify(result), isObject(result) && result["hello"] === "world");
    },
  },
  {
    what: "image_processing: a resize",
    expected: "320 × 200 webp",
    play: async ({ client }) => {
      const result = await run(client, "image_processing", {
        operation: "resize",
        source: { file: "photo.png" },
        width: 320,
        format: "webp",
      });
      const output = isObject(result) ? result["output"] : undefined;
      const text = isObject(output)
        ? `${String(output["width"])} × ${String(output["height"])} ${String(output["format"])}`
        : "no output";
      return came(text, text === "320 × 200 webp");
    },
  },
  {
    what: "web_scraping: a page of the demo",
    expected: "3 lamps",
    play: async ({ client, site }) => {
      const result = await run(client, "web_scraping", {
        url: `${site}/page.html`,
        select: { skus: { selector: ".lamp", attribute: "data-sku", all: true } },
      });
      const values = isObject(result) ? result["values"] : undefined;
      const skus = isObject(values) ? values["skus"] : undefined;
      const count = Array.isArray(skus) ? skus.length : 0;
      return came(`${count} lamps`, count === 3);
    },
  },
  {
    what: "data_analysis: sales.csv by region",
    expected: "4 regions",
    play: async ({ client }) => {
      const result = await run(client, "data_analysis", {
        source: { file: "sales.csv" },
        sql: "select region, sum(quantity) as quantity from data group by region order by region",
      });
      const rows = isObject(result) ? result["rows"] : undefined;
      const count = Array.isArray(rows) ? rows.length : 0;
      return came(`${count} regions`, count === 4);
    },
  },
  {
    what: "http: a request to the demo",
    expected: "status 200",
    play: async ({ client, site }) => {
      const result = await run(client, "http", { url: `${site}/page.html` });
      const status = isObject(result) ? String(result["status"]) : "none";
      return came(`status ${status}`, status === "200");
    },
  },
  {
    what: "a job delayed by a second",
    expected: "not before its time",
    play: async ({ client }) => {
      const handle = await client.enqueue("echo", "late", { delayMs: 1_000 });
      await handle.result();
      const job = await handle.get();
      const waitedMs = (job.startedAt?.getTime() ?? 0) - job.createdAt.getTime();
      return came(`started after ${waitedMs} ms`, handle.state === "scheduled" && waitedMs >= 990);
    },
  },
  {
    what: `${BULK_JOBS.toLocaleString("en")} small jobs`,
    expected: "all succeeded",
    play: async ({ client, onProgress }) => {
      const tag = "bulk";
      for (let done = 0; done < BULK_JOBS; done += BULK_CALL) {
        await client.enqueueMany(
          "echo",
          Array.from({ length: BULK_CALL }, () => null),
          {
            tags: [tag],
            queue: "bulk",
          },
        );
        onProgress((0.5 * (done + BULK_CALL)) / BULK_JOBS);
      }
      await untilEmpty(client, "bulk", (left) => onProgress(1 - (0.5 * left) / BULK_JOBS));
      let succeeded = 0;
      for await (const job of client.jobs({ tag, states: ["succeeded"] })) {
        succeeded += job.state === "succeeded" ? 1 : 0;
      }
      return came(`${succeeded.toLocaleString("en")} succeeded`, succeeded === BULK_JOBS);
    },
  },
  {
    what: "a job that fails twice",
    expected: "succeeds at attempt 3",
    play: async ({ client }) => {
      const handle = await client.enqueue(
        "test_sleep",
        { durationMs: 10, failTimes: 2 },
        { retry: { strategy: "fixed", baseMs: 100, jitter: "none" } },
      );
      await handle.result();
      const job = await handle.get();
      return came(outcomesOf(job), outcomesOf(job) === "retry, retry, succeeded");
    },
  },
  {
    what: "a job that dies, redriven",
    expected: "dead, then succeeds",
    play: async ({ client }) => {
      const handle = await client.enqueue(
        "test_sleep",
        { durationMs: 10, failTimes: 1 },
        { maxAttempts: 1 },
      );
      const dead = await handle.result().catch((error: unknown) => error);
      await client.redrive(handle.id);
      await client.job(handle.id).result();
      const job = await handle.get();
      return came(
        outcomesOf(job),
        dead instanceof Error &&
          outcomesOf(job) === "retry, succeeded" &&
          job.state === "succeeded",
      );
    },
  },
];

async function run(client: Client, task: string, input: unknown): Promise<unknown> {
  const handle = await client.enqueue(task, input);
  return handle.result();
}

async function untilEmpty(
  client: Client,
  name: string,
  onLeft: (left: number) => void,
): Promise<void> {
  const changes = client.watch({ queue: name })[Symbol.asyncIterator]();
  for (;;) {
    const queue = (await client.queues.list()).find((one) => one.name === name);
    const left = (queue?.queuedCount ?? 0) + (queue?.runningCount ?? 0);
    onLeft(left);
    if (left === 0) break;
    await changes.next();
  }
  await changes.return?.();
}

function outcomesOf(job: Job): string {
  return (job.attempts ?? []).map(({ outcome }) => outcome ?? "running").join(", ");
}

function came(cameOut: string, isAsExpected: boolean): ActResult {
  return { cameOut, isAsExpected };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
