import type { OrdealReport } from "./ordeal.ts";

/** A table for people. */
export function ordealText({ rounds, history, failures }: OrdealReport): string {
  const kinds = new Map<string, number>();
  for (const { kind } of rounds) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  const resumes = rounds.map((round) => round.resumeMs ?? Infinity).sort((a, b) => a - b);
  const lost = history.attempts.filter((attempt) => attempt.outcome === "lost").length;
  const rows: [string, string][] = [
    [
      "rounds",
      `${rounds.length}: ${[...kinds].map(([kind, count]) => `${count} × ${kind}`).join(", ")}`,
    ],
    ["accepted", String(new Set(history.acknowledged.map((ack) => ack.jobId)).size)],
    [
      "refused or unanswered",
      [...failures].map(([code, count]) => `${count} × ${code}`).join(", ") || "none",
    ],
    ["ended", String(history.finishedIds.length)],
    ["attempts", String(history.attempts.length)],
    ["lost and run again", String(lost)],
    ["resumed after ms", `p50 ${resumes[Math.floor(resumes.length / 2)]}, most ${resumes.at(-1)}`],
  ];
  const lines = rows.map(([name, value]) => `  ${name.padEnd(24)}${value}`);
  const each = rounds.map(
    (round, index) =>
      `  ${String(index + 1).padStart(2)}. ${round.kind.padEnd(20)} workers killed ${round.killedWorkers.length}, ` +
      `ran ${round.lostCount}, healthy ${round.healthyCount}, server back after ${round.serverStartMs ?? "-"} ms, resumed after ${round.resumeMs ?? "never"} ms`,
  );
  return [...lines, ...each].join("\n");
}
