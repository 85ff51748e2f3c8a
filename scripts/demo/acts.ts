/** Everything that the demo does, in the order of its table. */
import { readFile, stat } from "node:fs/promises";
import path from "node:path";

import type { Act } from "./act.ts";
import { expectEqual, follow, outcomesOf } from "./act.ts";
import { bulkAct } from "./bulk.ts";

const EXAMPLES = path.resolve(import.meta.dirname, "../../examples/data");
const DELAY_MS = 3_000;
/** A machine that does other things at the same time may be this late; it is shown how late. */
const LATE_MS_MAX = 10_000;

const echo: Act = {
  name: "echo",
  what: "a job and its result",
  expected: "what went in",
  run: async ({ client }) => {
    const input = { hello: "world" };
    const job = await client.enqueue("echo", input);
    const result = await job.result();
    expectEqual("the result", result, input);
    return JSON.stringify(result);
  },
};

const sleeper: Act = {
  name: "test_sleep",
  what: "two seconds, with progress",
  expected: "it slept 2 s",
  run: async (stage) => {
    const durationMs = 2_000;
    const handle = await stage.client.enqueue<{ readonly sleptMs: number }>("test_sleep", {
      durationMs,
    });
    await follow(stage, handle);
    const { sleptMs } = await handle.result();
    if (sleptMs < durationMs) throw new Error(`it slept ${sleptMs} ms only`);
    return `it slept ${sleptMs} ms`;
  },
};

const image: Act = {
  name: "image_processing",
  what: "photo.png, 640 × 400, to 64 pixels",
  expected: "a file of 64 × 40 pixels",
  run: async (stage) => {
    const job = await stage.client.enqueue<{
      readonly output: { readonly width: number; readonly height: number; readonly bytes: number };
    }>("image_processing", {
      operation: "resize",
      source: { file: "photo.png" },
      width: 64,
      output: { file: "small.png" },
    });
    const { width, height, bytes } = (await job.result()).output;
    expectEqual("the size", [width, height], [64, 40]);
    const { size } = await stat(path.join(stage.outputDirectory, "small.png"));
    expectEqual("the bytes in the file", size, bytes);
    return `small.png, ${width} × ${height}, ${size} bytes`;
  },
};

const scraping: Act = {
  name: "web_scraping",
  what: "a catalogue page that the demo serves",
  expected: "3 lamps and their prices",
  run: async ({ client, site }) => {
    const job = await client.enqueue<{
      readonly values: { readonly lamps: readonly string[]; readonly prices: readonly string[] };
    }>("web_scraping", {
      url: `${site}/catalogue`,
      select: {
        lamps: { selector: ".lamp h2", all: true },
        prices: { selector: ".price", all: true },
      },
    });
    const { lamps, prices } = (await job.result()).values;
    expectEqual("the number of lamps", lamps.length, 3);
    expectEqual("the prices", prices, ["€ 89.00", "€ 64.50", "€ 149.00"]);
    return `${lamps.length} lamps: ${prices.join(", ")}`;
  },
};

const robots: Act = {
  name: "robots.txt",
  what: "a page that its site forbids",
  expected: "dead at once: robots_disallowed",
  run: async (stage) => {
    const handle = await stage.client.enqueue("web_scraping", { url: `${stage.site}/private` });
    const job = await follow(stage, handle);
    expectEqual("state and error", [job.state, job.error?.code], ["dead", "robots_disallowed"]);
    return `${job.state} after ${job.attempt} attempt: ${job.error?.code}`;
  },
};

const analysis: Act = {
  name: "data_analysis",
  what: "SQL over sales.csv",
  expected: "pieces by region, as counted here",
  run: async ({ client }) => {
    const job = await client.enqueue<{ readonly rows: readonly Sales[] }>("data_analysis", {
      source: { file: "sales.csv" },
      sql: "select region, sum(quantity)::integer as pieces from data group by region order by pieces desc, region",
    });
    const { rows } = await job.result();
    expectEqual("the rows", rows, await countSales());
    const [best] = rows;
    return `${rows.length} regions, ${best?.region} sold most: ${best?.pieces}`;
  },
};

interface Sales {
  readonly region: string;
  readonly pieces: number;
}

/** The same by hand. The file has no commas inside of its values. */
async function countSales(): Promise<readonly Sales[]> {
  const [head = "", ...lines] = (await readFile(path.join(EXAMPLES, "sales.csv"), "utf8"))
    .trim()
    .split("\n");
  const names = head.split(",");
  const pieces = new Map<string, number>();
  for (const line of lines) {
    const values = line.split(",");
    const region = values[names.indexOf("region")] ?? "";
    const quantity = Number(values[names.indexOf("quantity")]);
    pieces.set(region, (pieces.get(region) ?? 0) + quantity);
  }
  return [...pieces]
    .map(([region, count]) => ({ region, pieces: count }))
    .sort((a, b) => b.pieces - a.pieces || (a.region < b.region ? -1 : 1));
}

const http: Act = {
  name: "http",
  what: "a POST to the demo's own server",
  expected: "status 200 and the echo of the body",
  run: async ({ client, site }) => {
    const body = { order: "SO-10000" };
    const job = await client.enqueue<{ readonly status: number; readonly body: unknown }>("http", {
      url: `${site}/orders`,
      method: "POST",
      body,
    });
    const result = await job.result();
    expectEqual("status and body", [result.status, result.body], [200, { received: body }]);
    return `${result.status}, and ${body.order} came back`;
  },
};

const delayed: Act = {
  name: "delay",
  what: `a job that may start in ${DELAY_MS / 1_000} s`,
  expected: "it starts then, not before",
  run: async (stage) => {
    const job = await follow(
      stage,
      await stage.client.enqueue("echo", "late", { delayMs: DELAY_MS }),
    );
    const waitedMs = (job.startedAt?.getTime() ?? 0) - job.createdAt.getTime();
    if (waitedMs < DELAY_MS || waitedMs > DELAY_MS + LATE_MS_MAX) {
      throw new Error(`it started after ${waitedMs} ms instead of ${DELAY_MS} ms`);
    }
    return `started after ${waitedMs} ms`;
  },
};

const retried: Act = {
  name: "retry",
  what: "fails twice, then succeeds",
  expected: "retry, retry, succeeded",
  run: async (stage) => {
    const input = { durationMs: 300, failTimes: 2 };
    const retry = { strategy: "fixed", baseMs: 300, jitter: "none" } as const;
    const handle = await stage.client.enqueue("test_sleep", input, { maxAttempts: 3, retry });
    const job = await follow(stage, handle);
    expectEqual("the attempts", outcomesOf(job), "retry, retry, succeeded");
    return outcomesOf(job);
  },
};

const redriven: Act = {
  name: "dead letters",
  what: "ends dead, is redriven, succeeds",
  expected: "dead, then succeeded",
  run: async (stage) => {
    const { client } = stage;
    const input = { durationMs: 200, failTimes: 1 };
    const handle = await client.enqueue("test_sleep", input, { maxAttempts: 1, tags: ["redrive"] });
    const dead = await follow(stage, handle);
    expectEqual("the state", dead.state, "dead");
    const { jobs } = await client.listJobs({ states: ["dead"], tag: "redrive" });
    expectEqual(
      "the dead-letter queue",
      jobs.map(({ id }) => id),
      [handle.id],
    );
    await client.redrive(handle.id);
    const job = await follow(stage, handle);
    expectEqual("state and attempts", [job.state, job.attempts.length], ["succeeded", 2]);
    return `${dead.state}, then ${job.state} with attempt ${job.attempt}`;
  },
};

const cancelled: Act = {
  name: "cancel",
  what: "a running job is told to stop",
  expected: "cancelled, with the reason",
  run: async (stage) => {
    const handle = await stage.client.enqueue("test_sleep", { durationMs: 600_000 });
    for await (const { state } of handle.watch()) if (state === "running") break;
    await handle.cancel("the demo has changed its mind");
    const job = await follow(stage, handle);
    expectEqual("the state", job.state, "cancelled");
    return `${job.state}: ${job.cancelReason}`;
  },
};

const killed: Act = {
  name: "kill -9",
  what: "the worker dies in the middle of a job",
  expected: "lost, then succeeded on a new worker",
  isLast: true,
  run: async (stage) => {
    const handle = await stage.client.enqueue("test_sleep", { durationMs: 1_000 });
    for await (const { state } of handle.watch()) if (state === "running") break;
    stage.killWorker();
    const job = await follow(stage, handle);
    expectEqual("the attempts", outcomesOf(job), "lost, succeeded");
    return outcomesOf(job);
  },
};

export const ACTS: readonly Act[] = [
  echo,
  sleeper,
  image,
  scraping,
  robots,
  analysis,
  http,
  delayed,
  retried,
  redriven,
  cancelled,
  bulkAct,
  killed,
];
