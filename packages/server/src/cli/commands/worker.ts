import { Command, Option } from "commander";

import { withAddressOption, type AddressFlags } from "../client.ts";
import {
  parseDuration,
  parseInteger,
  parseList,
  parseOneMore,
  parsePair,
} from "../option-values.ts";
import { runWorker } from "../run-worker.ts";

interface Flags extends AddressFlags {
  readonly tasks?: readonly string[];
  readonly builtIn: boolean;
  readonly queues?: readonly string[];
  readonly slots?: number;
  readonly prefetch?: number;
  readonly name?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly leaseMs?: number;
  readonly drainTimeoutMs?: number;
  readonly logLevel: string;
}

const SLOTS_MAX = 10_000;
const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"];

/** `baton worker` */
export function createCommand(): Command {
  const command = new Command("worker")
    .description("Runs a worker until Ctrl-C: the built-in tasks, and your own.")
    .option(
      "--tasks <file>",
      "a module that exports tasks, TypeScript or JavaScript; may be given several times",
      parseOneMore,
    )
    .option("--built-in", "run the built-in tasks", true)
    .option("--no-built-in", "run one's own tasks only")
    .option(
      "--queues <names>",
      'queues to take jobs from, separated by commas (default: "default")',
      parseList,
    )
    .option(
      "--slots <n>",
      `jobs to run at a time, 1 to ${SLOTS_MAX} (default: 10)`,
      parseInteger(1, SLOTS_MAX),
    )
    .option(
      "--prefetch <n>",
      `jobs to hold ready beyond the slots, 0 to ${SLOTS_MAX} (default: 0)`,
      parseInteger(0, SLOTS_MAX),
    )
    .option("--name <name>", "name for people (default: host and process id)")
    .option("--label <key=value>", "a label; may be given several times", parsePair)
    .option(
      "--lease-ms <duration>",
      "how long to keep jobs without contact to a server, 2s to 10m (default: 8s)",
      parseDuration,
    )
    .option(
      "--drain-timeout-ms <duration>",
      "after a stop was asked for: how long running jobs may take (default: no limit)",
      parseDuration,
    )
    .addOption(
      new Option("--log-level <level>", "what is logged")
        .choices(LOG_LEVELS)
        .env("BATON_LOG_LEVEL")
        .default("info"),
    )
    .addHelpText(
      "after",
      "\nWhat the built-in tasks may do is set by BATON_TASKS_… variables, see docs/tasks.md.",
    );
  return withAddressOption(command).action(async (flags: Flags) => {
    const exitCode = await runWorker({
      address: flags.address,
      taskFiles: flags.tasks ?? [],
      withBuiltIn: flags.builtIn,
      queues: flags.queues,
      slots: flags.slots,
      prefetch: flags.prefetch,
      name: flags.name,
      labels: flags.label,
      leaseMs: flags.leaseMs,
      drainTimeoutMs: flags.drainTimeoutMs,
      logLevel: flags.logLevel,
    });
    // A handler that was given up may still be at work and would keep the process.
    process.exit(exitCode);
  });
}
