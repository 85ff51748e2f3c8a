import { FINAL_STATES, JOB_STATES, TRANSITIONS } from "../../packages/server/src/domain/job.ts";

/** The states of a job as a diagram and as a table, from the one table of transitions. */
export function stateDiagram(): string {
  return `${diagram()}\n\n${table()}`;
}

function diagram(): string {
  const moves = JOB_STATES.flatMap((from) => TRANSITIONS[from].map((to) => `${from} --> ${to}`));
  const ends = FINAL_STATES.map((state) => `${state} --> [*]`);
  const lines = [...moves, ...ends].map((line) => `  ${line}`);
  return ["```mermaid", "stateDiagram-v2", ...lines, "```"].join("\n");
}

function table(): string {
  const rows = JOB_STATES.map((state) => {
    const next = TRANSITIONS[state].map((to) => `\`${to}\``).join(", ");
    const isFinal = FINAL_STATES.some((final) => final === state);
    return `| \`${state}\` | ${isFinal ? "yes" : "no"} | ${next === "" ? "nothing" : next} |`;
  });
  return ["| state | final | may become |", "|---|---|---|", ...rows].join("\n");
}
