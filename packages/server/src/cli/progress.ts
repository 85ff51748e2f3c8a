/** Long work, on standard error: a bar on a terminal, a line now and then elsewhere. */
import cliProgress from "cli-progress";

import { paint } from "./terminal.ts";

export interface Progress {
  /** @param done of the total, or so far when there is none */
  update(done: number): void;
  /** Ends the bar. Must be called. */
  end(): void;
}

export interface ProgressOptions {
  /** Example: `submitting` */
  readonly label: string;
  /** Example: `jobs` */
  readonly unit: string;
  /** Absent: nobody knows how much it will be. */
  readonly total?: number | undefined;
}

const LINE_EVERY_MS = 5_000;
const REDRAW_MS = 100;

/** Begins to show the progress of something. */
export function openProgress(options: ProgressOptions): Progress {
  if (!process.stderr.isTTY) return lineProgress(options);
  return options.total === undefined ? countProgress(options) : barProgress(options, options.total);
}

function barProgress({ label, unit }: ProgressOptions, total: number): Progress {
  const startedAtMs = performance.now();
  const bar = new cliProgress.SingleBar({
    stream: process.stderr,
    format: `${label} ${paint("cyan", "{bar}", process.stderr)} {percentage} %  {value}/{total} ${unit}  {rate}`,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: 30,
    // Cursor and wrapping stay as they are: a process that is killed could not put them back.
    hideCursor: null,
    linewrap: null,
    gracefulExit: false,
  });
  bar.start(total, 0, { rate: "" });
  return {
    update: (done) => bar.update(done, { rate: rateText(done, startedAtMs, unit) }),
    end: () => bar.stop(),
  };
}

function countProgress({ label, unit }: ProgressOptions): Progress {
  const startedAtMs = performance.now();
  let drawnAtMs = 0;
  return {
    update: (done) => {
      if (performance.now() - drawnAtMs < REDRAW_MS) return;
      drawnAtMs = performance.now();
      process.stderr.write(
        `\r\u001b[K${label} ${done} ${unit}  ${rateText(done, startedAtMs, unit)}`,
      );
    },
    end: () => void process.stderr.write("\r\u001b[K"),
  };
}

function lineProgress({ label, unit, total }: ProgressOptions): Progress {
  const startedAtMs = performance.now();
  let toldAtMs = startedAtMs;
  return {
    update: (done) => {
      if (performance.now() - toldAtMs < LINE_EVERY_MS) return;
      toldAtMs = performance.now();
      const of = total === undefined ? "" : ` of ${total}`;
      process.stderr.write(
        `${label}: ${done}${of} ${unit}, ${rateText(done, startedAtMs, unit)}\n`,
      );
    },
    end: () => undefined,
  };
}

function rateText(done: number, startedAtMs: number, unit: string): string {
  const seconds = (performance.now() - startedAtMs) / 1_000;
  return seconds < 0.5 ? "" : `${Math.round(done / seconds).toLocaleString("en-US")} ${unit}/s`;
}
