/** Protobuf says "absent" with an empty text; the domain says it with `undefined`. */
export function presentText(text: string): string | undefined {
  return text === "" ? undefined : text;
}
