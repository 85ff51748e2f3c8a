import { JobFailedError, type Client, type Job } from "@baton/sdk";
import { Command } from "commander";

import { useClient, withClientOptions, type ClientFlags } from "../client.ts";
import { CliError, usageError } from "../failure.ts";
import { decodeUtf8, readInput, STDIN } from "../input.ts";
import { enqueueOptionsOf, withJobOptions, type JobFlags } from "../job-options.ts";
import { progressText, stateText } from "../job-text.ts";
import { parseJsonText } from "../json-text.ts";
import { parseDuration } from "../option-values.ts";
import { note, writeJson, writeLine } from "../output.ts";
import { commandName } from "../terminal.ts";
import { jobResultJson } from "../view-json.ts";

interface Flags extends ClientFlags, JobFlags {
  readonly inputFile?: string;
  readonly file?: string;
  readonly wait?: true;
  readonly waitTimeoutMs?: number;
}

/** `baton submit` */
export function createCommand(): Command {
  const command = new Command("submit")
    .description("Submits a job, or one for each line of a file.")
    .argument("[task]", "name of the task; with --file that of lines which name none")
    .argument("[input]", 'JSON; "-" reads it from standard input (default: null)')
    .option("--input-file <path>", 'read the input from a file; "-" is standard input')
    .option("--wait", "wait for the job's end, print its result, and exit by how it ended")
    .option(
      "--wait-timeout-ms <duration>",
      "wait no longer than this; the job goes on",
      parseDuration,
    )
    .option(
      "--file <path>",
      'submit each line of a file, {"task", "input", …options}; "-" is standard input',
    );
  withClientOptions(withJobOptions(command));
  return command.action(
    async (task: string | undefined, input: string | undefined, flags: Flags) => {
      requireFitting(task, input, flags);
      if (flags.file !== undefined) {
        // Loaded late: a single job should not wait for what only a file needs.
        const { submitFile } = await import("../submit-file.ts");
        return submitFile({ ...flags, task, file: flags.file });
      }
      await submitOne(task ?? "", input, flags);
    },
  );
}

function requireFitting(task: string | undefined, input: string | undefined, flags: Flags): void {
  if (flags.file === undefined) {
    if (task === undefined)
      throw usageError("Expected the name of a task, or --file; received neither.");
    if (input !== undefined && flags.inputFile !== undefined) {
      throw usageError("Expected the input as an argument or by --input-file; received both.");
    }
    if (flags.waitTimeoutMs !== undefined && !flags.wait) {
      throw usageError("--wait-timeout-ms belongs to --wait, which is missing.");
    }
    return;
  }
  if (input !== undefined || flags.inputFile !== undefined) {
    throw usageError("With --file each line has its own input; received another one.");
  }
  if (flags.wait) throw usageError("--wait waits for one job, and --file submits many.");
}

async function submitOne(task: string, text: string | undefined, flags: Flags): Promise<void> {
  const input = await inputOf(text, flags);
  await useClient(flags, async (client) => {
    const job = await client.enqueue(task, input, enqueueOptionsOf(flags));
    if (job.isDuplicate) note(`This job was submitted before: ${job.id}`);
    if (flags.wait) return waitFor(client, job.id, flags);
    if (flags.json) {
      return writeJson({ id: job.id, state: job.state, isDuplicate: job.isDuplicate });
    }
    await writeLine(job.id);
    if (process.stderr.isTTY) note(`"${commandName()} status ${job.id}" shows how it is doing.`);
  });
}

async function inputOf(text: string | undefined, flags: Flags): Promise<unknown> {
  const path = flags.inputFile ?? (text === STDIN ? STDIN : undefined);
  const contentType = flags.inputContentType ?? "application/json";
  if (contentType !== "application/json") {
    return path === undefined ? Buffer.from(text ?? "") : readInput(path);
  }
  if (path === undefined) return text === undefined ? null : parseJsonText(text, "the input");
  return parseJsonText(decodeUtf8(await readInput(path), "the input"), "the input");
}

async function waitFor(client: Client, id: string, flags: Flags): Promise<void> {
  const onInterrupt = () => {
    note(`\nThe job goes on: ${commandName()} watch ${id}`);
    process.off("SIGINT", onInterrupt);
    process.kill(process.pid, "SIGINT");
  };
  process.on("SIGINT", onInterrupt);
  const timeout = flags.waitTimeoutMs;
  const signal = timeout === undefined ? undefined : AbortSignal.timeout(timeout);
  const line = waitLine();
  let last: Job | undefined;
  try {
    for await (const job of client.job(id).watch({ signal })) {
      last = job;
      line.show(job);
    }
  } finally {
    line.end();
    process.off("SIGINT", onInterrupt);
  }
  if (last?.state !== "succeeded" && last?.state !== "dead" && last?.state !== "cancelled") {
    const message = `Job ${id} has not ended within ${timeout} ms; it goes on.`;
    throw new CliError("deadline_exceeded", message, { jobId: id, timeoutMs: timeout });
  }
  if (flags.json) await writeJson(jobResultJson(last));
  if (last.state !== "succeeded") throw new JobFailedError(last);
  if (!flags.json) await writeJson(last.result ?? null);
}

/** State and progress on one line of the terminal; nothing elsewhere. */
function waitLine(): { show(job: Job): void; end(): void } {
  const { stderr } = process;
  if (!stderr.isTTY) return { show: () => undefined, end: () => undefined };
  return {
    show: (job) => {
      const progress = job.progress === undefined ? "" : `  ${progressText(job.progress)}`;
      const attempt = job.attempt > 1 ? `  attempt ${job.attempt}` : "";
      stderr.write(`\r\u001b[K${stateText(job.state)}${attempt}${progress}`);
    },
    end: () => void stderr.write("\r\u001b[K"),
  };
}
