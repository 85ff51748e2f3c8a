/** What `baton dev` tells the person who typed it, on standard error; logs go to standard output. */
import { commandName, paint } from "./terminal.ts";
import { durationText } from "./time-text.ts";

export interface DevFacts {
  readonly version: string;
  readonly host: string;
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly dataDirectory: string | undefined;
  /** Below which jobs may read files. */
  readonly filesDirectory: string | undefined;
  readonly startMs: number;
}

const { stderr } = process;
const REDRAW_MS = 100;
const FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";

export interface Steps {
  /** Ends the step before, and begins one. */
  begin(step: string): void;
  /** Ends the last step. */
  end(): void;
}

/** Steps of a start: on a terminal each with a moving mark and the time it took, elsewhere a line. */
export function openSteps(): Steps {
  let current: { readonly step: string; readonly startedAtMs: number } | undefined;
  let timer: NodeJS.Timeout | undefined;
  const draw = (mark: string, end: string) => {
    if (current === undefined) return;
    const took = performance.now() - current.startedAtMs;
    const time = took < 200 && end === "" ? "" : paint("dim", durationText(took), stderr);
    stderr.write(`\r\u001b[K  ${mark} ${current.step} ${time}${end}`);
  };
  const move = () => {
    const frame = FRAMES[Math.floor(performance.now() / REDRAW_MS) % FRAMES.length] ?? "";
    draw(paint("cyan", frame, stderr), "");
    timer = setTimeout(move, REDRAW_MS);
  };
  const end = () => {
    clearTimeout(timer);
    if (stderr.isTTY) draw(paint("green", "✔", stderr), "\n");
    current = undefined;
  };
  return {
    begin: (step) => {
      end();
      current = { step, startedAtMs: performance.now() };
      if (stderr.isTTY) move();
      else stderr.write(`${step}\n`);
    },
    end,
  };
}

/** Where to look, and what to type next. */
export function welcomeText(facts: DevFacts): string {
  const host = facts.host.includes(":") ? `[${facts.host}]` : facts.host;
  const http = `http://${host}:${facts.httpPort}`;
  const places: (readonly [string, string])[] = [
    ["REST", `${http}/api/v1`],
    ["reference", `${http}/api/v1/docs`],
    ["gRPC", `${host}:${facts.grpcPort}`],
  ];
  if (facts.dataDirectory !== undefined) {
    places.push(["data", facts.dataDirectory]);
    places.push(["log", `${facts.dataDirectory}/postgres.log`]);
  }
  if (facts.filesDirectory !== undefined) {
    places.push(["files", `${facts.filesDirectory} (jobs may read them)`]);
  }
  const width = Math.max(...places.map(([name]) => name.length)) + 2;
  return [
    "",
    `  ${paint("bold", `Baton ${facts.version}`, stderr)} is ready after ${durationText(facts.startMs)}.`,
    "",
    ...places.map(([name, place]) => `  ${paint("dim", name.padEnd(width), stderr)}${place}`),
    "",
    "  Type in another terminal:",
    ...examples(facts).map((line) => `    ${paint("cyan", line, stderr)}`),
    "",
    `  ${paint("dim", "Ctrl-C stops everything; jobs and results stay.", stderr)}`,
    "",
    "",
  ].join("\n");
}

function examples(facts: DevFacts): readonly string[] {
  const baton = commandName();
  const address = facts.grpcPort === 9000 ? "" : ` --address ${facts.host}:${facts.grpcPort}`;
  const lines = [`${baton} submit echo '{"hello":"world"}' --wait${address}`];
  if (facts.filesDirectory !== undefined) {
    lines.push(`${baton} submit data_analysis '{"source":{"file":"sales.csv"}}' --wait${address}`);
  }
  lines.push(`${baton} list${address}`, `${baton} --help`);
  return lines;
}
