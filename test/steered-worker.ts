/** A worker of the SDK in a process of its own, whose handlers do what a test tells them. */
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

import { startProgram } from "./child-process.ts";
import { logFile, tellLogOnFailure } from "./log-tail.ts";
import { Mailbox } from "./mailbox.ts";
import type { Stage } from "./stage.ts";
import { within } from "./until.ts";

/** What steered-worker-program.ts is told: options of a worker. */
export interface SteeredWorkerInput {
  readonly address: string;
  readonly name: string;
  readonly tasks: readonly string[];
  readonly slots?: number;
  readonly leaseMs?: number;
}

/** A fence. */
export interface Fence {
  readonly jobId: string;
  readonly attempt: number;
}

/** What the program tells. */
export type WorkerReport =
  | { readonly kind: "connected" }
  | { readonly kind: "logged"; readonly message: string }
  | ({ readonly kind: "started" } & Fence)
  /** `reason`: name of what its signal was aborted with. */
  | ({ readonly kind: "aborted"; readonly reason: string } & Fence);

/** What a handler shall do. */
export type HandlerOrder = Fence &
  (
    | { readonly kind: "progress"; readonly value: unknown }
    | { readonly kind: "log"; readonly message: string }
    | { readonly kind: "return"; readonly value: unknown }
  );

type ReportOf<Kind extends WorkerReport["kind"]> = Extract<WorkerReport, { readonly kind: Kind }>;

export interface SteeredWorker {
  readonly pid: number;
  /** The next report of a kind. Fails after 30 s. */
  next<Kind extends WorkerReport["kind"]>(kind: Kind): Promise<ReportOf<Kind>>;
  /** Waits until its log has a line that matches. Fails after 30 s. */
  logged(pattern: RegExp): Promise<string>;
  /** Tells a handler what to do. A halted process hears it when it goes on. */
  order(order: HandlerOrder): void;
  signal(signal: NodeJS.Signals): void;
  end(signal: NodeJS.Signals): Promise<void>;
}

const REPORT_MS_MAX = 30_000;

/** Starts a worker and waits until it is connected. After the test it is killed. */
export async function aSteeredWorker(
  stage: Stage,
  input: SteeredWorkerInput,
): Promise<SteeredWorker> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "baton-worker-"));
  const log = await logFile(directory, `${input.name}.log`);
  const program = startProgram({
    program: path.join(import.meta.dirname, "steered-worker-program.ts"),
    arguments: [JSON.stringify(input)],
    logFile: log,
  });
  stage.after(async () => {
    await program.end("SIGKILL");
    await tellLogOnFailure(stage, log);
    await rm(directory, { recursive: true, force: true });
  });

  const inboxes = new Map<WorkerReport["kind"], Mailbox<WorkerReport>>();
  const inbox = (kind: WorkerReport["kind"]): Mailbox<WorkerReport> => {
    const known = inboxes.get(kind) ?? new Mailbox<WorkerReport>();
    inboxes.set(kind, known);
    return known;
  };
  const sort = async (): Promise<never> => {
    for (;;) {
      const report = (await program.message()) as WorkerReport;
      inbox(report.kind).put(report);
    }
  };
  sort().catch((error: Error) => {
    for (const kind of KINDS) inbox(kind).close(error);
  });

  const next: SteeredWorker["next"] = async (kind) => {
    const report = await within(REPORT_MS_MAX, `${kind} of ${input.name}`, inbox(kind).take());
    // The inbox of a kind has only reports of that kind.
    return report as ReportOf<typeof kind>;
  };
  await next("connected");
  return {
    pid: program.pid,
    next,
    logged: async (pattern) => {
      for (;;) {
        const { message } = await next("logged");
        if (pattern.test(message)) return message;
      }
    },
    order: (order) => program.send(order),
    signal: (signal) => program.signal(signal),
    end: (signal) => program.end(signal),
  };
}

const KINDS: readonly WorkerReport["kind"][] = ["connected", "logged", "started", "aborted"];
