import { cutText } from "../../domain/cut-text.ts";
import { AppError } from "../../errors.ts";

const SHOWN_CHARACTERS_MAX = 80;

/**
 * Refuses a query that is not UTF-8 in percent-encoding. Fastify's parser puts U+FFFD there, which would make a filter
 * match what nobody asked for.
 *
 * @param url path and query as they came
 * @throws AppError invalid_argument
 */
export function checkQueryText(url: string): void {
  const start = url.indexOf("?");
  if (start === -1) return;
  const query = url.slice(start + 1);
  if (isQueryText(query)) return;
  const parameter = query.split("&").find((pair) => !isQueryText(pair)) ?? query;
  throw new AppError(
    "invalid_argument",
    "expected a query of UTF-8 with valid percent-encoding, received " +
      cutText(parameter, SHOWN_CHARACTERS_MAX),
  );
}

function isQueryText(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
