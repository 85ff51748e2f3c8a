/** What the demo shows while it runs: a list that is redrawn on a terminal, a line for each change elsewhere. */
import { paint } from "../../packages/server/src/cli/terminal.ts";

export interface Screen {
  begin(row: number): void;
  /** @param share between 0 and 1 */
  progress(row: number, share: number): void;
  end(row: number, text: string, isAsExpected: boolean): void;
  /** Must be called. */
  close(): void;
}

const REDRAW_MS = 100;
const BAR_CHARACTERS = 24;
const SPINNER = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"] as const;

type State =
  | { readonly kind: "waiting" }
  | { readonly kind: "running"; readonly share: number | undefined }
  | { readonly kind: "over"; readonly text: string; readonly isAsExpected: boolean };

/** Opens the screen with one row a name. */
export function openScreen(names: readonly string[]): Screen {
  return process.stdout.isTTY ? terminalScreen(names) : lineScreen(names);
}

function lineScreen(names: readonly string[]): Screen {
  return {
    begin: () => undefined,
    progress: () => undefined,
    end: (row, text, isAsExpected) =>
      console.log(`${isAsExpected ? "✔" : "✖"} ${names[row] ?? ""}: ${text}`),
    close: () => undefined,
  };
}

function terminalScreen(names: readonly string[]): Screen {
  const states: State[] = names.map(() => ({ kind: "waiting" }));
  const width = Math.max(...names.map((name) => name.length));
  let frame = 0;
  let drawn = false;
  const draw = (): void => {
    const lines = names.map((name, row) =>
      line(name.padEnd(width), states[row] ?? { kind: "waiting" }, frame),
    );
    if (drawn) process.stdout.moveCursor(0, -names.length);
    drawn = true;
    for (const text of lines) {
      process.stdout.clearLine(0);
      process.stdout.write(`${text}\n`);
    }
  };
  const timer = setInterval(() => {
    frame += 1;
    draw();
  }, REDRAW_MS);
  return {
    begin: (row) => void (states[row] = { kind: "running", share: undefined }),
    progress: (row, share) => void (states[row] = { kind: "running", share }),
    end: (row, text, isAsExpected) => void (states[row] = { kind: "over", text, isAsExpected }),
    close: () => {
      clearInterval(timer);
      draw();
    },
  };
}

function line(name: string, state: State, frame: number): string {
  switch (state.kind) {
    case "waiting":
      return paint("dim", `· ${name}`);
    case "running": {
      const spinner = paint("cyan", SPINNER[frame % SPINNER.length] ?? "·");
      return `${spinner} ${name}  ${state.share === undefined ? "" : bar(state.share)}`;
    }
    case "over":
      return `${state.isAsExpected ? paint("green", "✔") : paint("red", "✖")} ${name}  ${state.text.slice(0, 60)}`;
  }
}

function bar(share: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * BAR_CHARACTERS);
  return `${paint("cyan", "█".repeat(full))}${"░".repeat(BAR_CHARACTERS - full)} ${Math.round(share * 100)} %`;
}
