import { status as Rpc } from "@grpc/grpc-js";

import { ERRORS } from "../../packages/server/src/errors.ts";
import type { Markdown } from "./markdown.ts";

const HEADING = /^### `(\w+)`$/;

/**
 * Compares docs/errors.md with the table of errors: one heading for each code, and below it the line with its statuses.
 */
export function errorPageProblems(
  file: string,
  source: string,
  document: Markdown,
): readonly string[] {
  const lines = source.split("\n");
  const documented = new Map(
    document.headings.flatMap(({ line, text }) => {
      const code = HEADING.exec(text)?.[1];
      return code === undefined ? [] : [[code, line] as const];
    }),
  );
  const unknown = [...documented.keys()]
    .filter((code) => !Object.hasOwn(ERRORS, code))
    .map((code) => `${file}: ${code} has a heading, but is no code of errors.ts`);
  const wrong = Object.entries(ERRORS).flatMap(([code, { http, rpc, isRetryable }]) => {
    const line = documented.get(code);
    if (line === undefined) return [`${file}: ${code} of errors.ts has no heading`];
    const expected = `HTTP ${http} · gRPC ${Rpc[rpc]} · retry: ${isRetryable ? "yes" : "no"}`;
    // The heading is followed by an empty line.
    return lines[line + 1] === expected ? [] : [`${file}:${line + 2}: expected "${expected}"`];
  });
  return [...unknown, ...wrong];
}
