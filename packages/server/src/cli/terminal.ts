/** What people see: colours where they are wanted, and text of others made harmless. */
import { styleText } from "node:util";

export type Style = Parameters<typeof styleText>[0];

/** Colours a text, unless the stream is no terminal or NO_COLOR is set. */
export function paint(
  style: Style,
  text: string,
  stream: NodeJS.WriteStream = process.stdout,
): string {
  return styleText(style, text, { stream });
}

/** Width of the terminal in characters; `undefined` where nothing needs to fit. */
export function columnsOf(stream: NodeJS.WriteStream): number | undefined {
  return stream.isTTY ? stream.columns : undefined;
}

// Control characters steer terminals, and bidirectional ones make text look like other text.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const UNSAFE_BUT_LINES =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text from a job, a worker or a file on one line: what could steer the terminal becomes visible. */
export function printable(text: string): string {
  return text.replace(UNSAFE, escaped);
}

/** The same for text of several lines: line ends and tabs stay. */
export function printableLines(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(UNSAFE_BUT_LINES, escaped);
}

function escaped(character: string): string {
  if (character === "\n") return "\\n";
  if (character === "\t") return "\\t";
  const code = character.charCodeAt(0);
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, "0")}`
    : `\\u${code.toString(16).padStart(4, "0")}`;
}

/** How people type this command: through npm in a clone, by its name elsewhere. */
export function commandName(): string {
  return process.env["npm_lifecycle_event"] === undefined ? "baton" : "npm run baton --";
}
