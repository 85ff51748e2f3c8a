import type { OrdealReport, RoundReport } from "./ordeal.ts";

/** An ordeal as tables for people. */
export function ordealText(report: OrdealReport): string {
  return [...totals(report), "", HEAD, ...report.rounds.map(roundLine)].join("\n");
}

function totals({ rounds, history, failures, triedCount }: OrdealReport): string[] {
  const kinds = Map.groupBy(rounds, (round) => round.kind);
  const resumes = rounds.map((round) => round.resumeMs ?? Infinity).sort((a, b) => a - b);
  const lost = history.attempts.filter((attempt) => attempt.outcome === "lost");
  const failed = [...failures].map(([code, count]) => `${count} × ${code}`);
  const rows = [
    ["rounds", rounds.length],
    ["kills", [...kinds].map(([kind, { length }]) => `${length} × ${kind}`).join(", ")],
    ["submitted", triedCount],
    ["accepted", new Set(history.acknowledged.map((ack) => ack.jobId)).size],
    ["not answered", failed.join(", ") || 0],
    ["ended", history.finishedIds.length],
    ["attempts", history.attempts.length],
    ["lost, and run again", lost.length],
    [
      "resumed after",
      `p50 ${resumes[Math.floor(resumes.length / 2)]} ms, at most ${resumes.at(-1)} ms`,
    ],
  ] as const;
  return rows.map(([name, value]) => `  ${name.padEnd(22)}${value}`);
}

const WIDTHS = [-24, 9, 6, 9, 13, 11] as const;
const HEAD = line(["  kill -9 of", "workers", "ran", "healthy", "server back", "resumed"]);

function roundLine(round: RoundReport, index: number): string {
  return line([
    `  ${String(index + 1).padStart(2)} ${round.kind}`,
    round.killedWorkers.length || "",
    round.lostCount || "",
    round.healthyCount || "",
    round.serverStartMs === undefined ? "" : `${round.serverStartMs} ms`,
    round.resumeMs === undefined ? "never" : `${round.resumeMs} ms`,
  ]);
}

/** A negative width is of a column that begins at its left. */
function line(cells: readonly (string | number)[]): string {
  return cells
    .map((cell, index) => {
      const width = WIDTHS[index] ?? 0;
      return width < 0 ? String(cell).padEnd(-width) : String(cell).padStart(width);
    })
    .join("");
}
