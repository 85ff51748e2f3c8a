import { createHash } from "node:crypto";

/**
 * A page cursor: a position and a check over it and over what the list was asked for, so that a cursor that was changed,
 * or belongs to another list, is refused instead of answering something odd. It keeps no secret.
 *
 * @param list what was asked for, the same on every page
 */
export function encodeCursor(list: unknown, position: string): string {
  return Buffer.from(`${check(list, position)}${position}`).toString("base64url");
}

/** The position of a cursor of this list, or undefined for any other text. */
export function decodeCursor(list: unknown, cursor: string): string | undefined {
  const text = Buffer.from(cursor, "base64url").toString();
  const position = text.slice(CHECK_CHARACTERS);
  return cursor === encodeCursor(list, position) ? position : undefined;
}

const CHECK_CHARACTERS = 16;

function check(list: unknown, position: string): string {
  return createHash("sha256")
    .update(JSON.stringify([list, position]))
    .digest("hex")
    .slice(0, CHECK_CHARACTERS);
}
