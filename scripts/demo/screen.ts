/** What the demo shows while it runs: rows that are drawn again on a terminal, lines elsewhere. */
import { columnsOf, paint, printable } from "../../packages/server/src/cli/terminal.ts";
import { clockText, durationText } from "../../packages/server/src/cli/time-text.ts";
import type { Act } from "./act.ts";

export interface Screen {
  /** Shows a step of the start while it runs. */
  step<Value>(what: string, work: () => Promise<Value>): Promise<Value>;
  note(text: string): void;
  /** Begins to show rows. */
  show(acts: readonly Act[]): void;
  row(act: Act): Row;
  /** Leaves the rows as they are. Safe to call twice. */
  end(): void;
}

export interface Row {
  readonly tell: (text: string) => void;
  readonly tellProgress: (done: number, total: number) => void;
  readonly end: (isGood: boolean, came: string, tookMs: number) => void;
}

const { stdout } = process;
const REDRAW_MS = 80;
const FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";
const NAME_CHARACTERS = 17;
const WHAT_CHARACTERS = 40;
const BAR_CHARACTERS = 20;
/** Elsewhere a bar is told in so many steps. */
const PROGRESS_LINES = 5;

interface RowState {
  readonly act: Act;
  mark: "waiting" | "running" | "good" | "bad";
  text: string;
}

/** Opens the screen and greets. */
export function openScreen(): Screen {
  // A reader that has seen enough must not end the demo before it has cleaned up.
  stdout.on("error", () => undefined);
  stdout.write(
    `\n  ${paint("bold", "Baton demo")}  ${paint("dim", "a throw-away server, one worker, real work")}\n\n`,
  );
  return stdout.isTTY ? new LiveScreen() : new LineScreen();
}

class LiveScreen implements Screen {
  #rows: readonly RowState[] = [];
  #timer: NodeJS.Timeout | undefined;
  #drawnLines = 0;

  async step<Value>(what: string, work: () => Promise<Value>): Promise<Value> {
    const startedAtMs = performance.now();
    const draw = (mark: string, end = "") =>
      stdout.write(
        `\r\u001b[K  ${mark} ${what} ${paint("dim", durationText(performance.now() - startedAtMs))}${end}`,
      );
    const timer = setInterval(() => draw(spinner()), REDRAW_MS);
    draw(spinner());
    try {
      const value = await work();
      draw(paint("green", "✔"), "\n");
      return value;
    } catch (error) {
      draw(paint("red", "✘"), "\n");
      throw error;
    } finally {
      clearInterval(timer);
    }
  }

  note(text: string): void {
    stdout.write(`    ${paint("dim", text)}\n\n`);
  }

  show(acts: readonly Act[]): void {
    this.#rows = acts.map((act) => ({ act, mark: "waiting", text: "" }));
    this.#timer = setInterval(() => this.#draw(), REDRAW_MS);
    this.#draw();
  }

  row(act: Act): Row {
    const state = this.#rows.find((row) => row.act === act);
    if (state === undefined) throw new Error(`${act.name} is not shown`);
    return {
      tell: (text) => {
        state.mark = "running";
        state.text = paint("cyan", printable(text));
      },
      tellProgress: (done, total) => {
        state.mark = "running";
        state.text = `${paint("cyan", bar(done / total))} ${progressText(done, total)}`;
      },
      end: (isGood, came, tookMs) => {
        state.mark = isGood ? "good" : "bad";
        const text = isGood ? printable(came) : paint("red", printable(came));
        state.text = `${text}  ${paint("dim", durationText(tookMs))}`;
      },
    };
  }

  end(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#draw();
    stdout.write("\n");
  }

  /** Line by line over the former ones, so that nothing flickers. */
  #draw(): void {
    const up = this.#drawnLines === 0 ? "" : `\u001b[${this.#drawnLines}A`;
    const width = columnsOf(stdout) ?? 120;
    const lines = this.#rows.map((row) => `\u001b[K${cut(rowText(row), width - 1)}\n`);
    this.#drawnLines = lines.length;
    stdout.write(up + lines.join(""));
  }
}

/** A line for each thing that happens. */
class LineScreen implements Screen {
  async step<Value>(what: string, work: () => Promise<Value>): Promise<Value> {
    const startedAtMs = performance.now();
    stdout.write(`  starting ${what}\n`);
    const value = await work();
    stdout.write(`  started ${what} in ${durationText(performance.now() - startedAtMs)}\n`);
    return value;
  }

  note(text: string): void {
    stdout.write(`  ${text}\n\n`);
  }

  show(): void {
    // Each row comes when it has something to say.
  }

  row(act: Act): Row {
    let told = "";
    let toldStep = 0;
    const line = (text: string): void => {
      if (text === told) return;
      told = text;
      stdout.write(
        `  ${clockText(new Date())}  ${act.name.padEnd(NAME_CHARACTERS)} ${printable(text)}\n`,
      );
    };
    return {
      tell: line,
      tellProgress: (done, total) => {
        const step = Math.floor((PROGRESS_LINES * done) / total);
        if (step === toldStep) return;
        toldStep = step;
        line(progressText(done, total));
      },
      end: (isGood, came, tookMs) => {
        line(`${isGood ? "✔" : "✘"} ${came} (${durationText(tookMs)})`);
      },
    };
  }

  end(): void {
    stdout.write("\n");
  }
}

function rowText({ act, mark, text }: RowState): string {
  const name = act.name.padEnd(NAME_CHARACTERS);
  const what = paint("dim", act.what.padEnd(WHAT_CHARACTERS));
  return `  ${markText(mark)} ${mark === "waiting" ? paint("dim", name) : name} ${what} ${text}`;
}

function markText(mark: RowState["mark"]): string {
  switch (mark) {
    case "waiting":
      return paint("dim", "·");
    case "running":
      return spinner();
    case "good":
      return paint("green", "✔");
    case "bad":
      return paint("red", "✘");
  }
}

function spinner(): string {
  return paint("cyan", FRAMES[Math.floor(performance.now() / REDRAW_MS) % FRAMES.length] ?? "");
}

function bar(part: number): string {
  const filled = Math.round(part * BAR_CHARACTERS);
  return "█".repeat(filled) + "░".repeat(BAR_CHARACTERS - filled);
}

function progressText(done: number, total: number): string {
  if (total === 100) return `${Math.round(done)} %`;
  return `${done.toLocaleString("en-US")} of ${total.toLocaleString("en-US")}`;
}

/** Cuts to a width without counting colours; a line that wraps would break the drawing. */
function cut(line: string, width: number): string {
  let length = 0;
  let text = "";
  for (const part of line.split(/(\u001b\[[\d;]*m)/)) {
    if (part.startsWith("\u001b")) {
      text += part;
      continue;
    }
    text += part.slice(0, Math.max(0, width - length));
    length += part.length;
  }
  return text;
}
