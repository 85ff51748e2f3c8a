/**
 * What the harness and its processes say to each other. Requests carry numbers by name, replies lists of numbers by
 * name: that is all that measuring needs, and it is easily checked.
 */
export type Numbers = Readonly<Record<string, number>>;
export type Lists = ReadonlyMap<string, Float64Array>;

/** Answers one command. */
export type Answer = (command: string, numbers: Numbers) => Promise<Lists>;

/** Ends this process when its parent is gone. To be called before anything is awaited. */
export function endWithParent(): void {
  process.once("disconnect", () => process.exit(1));
}

/** Serves commands that the parent sends, one after another or at once. */
export function serve(answer: Answer): void {
  process.on("message", (message: unknown) => {
    if (!isRequest(message)) return;
    const { id, command, numbers } = message;
    answer(command, numbers).then(
      (lists) => process.send?.({ id, lists }),
      (error: unknown) => process.send?.({ id, error: String(error) }),
    );
  });
}

interface Request {
  readonly id: number;
  readonly command: string;
  readonly numbers: Numbers;
}

function isRequest(value: unknown): value is Request {
  return isRecord(value) && "id" in value && "command" in value && "numbers" in value;
}

/** @returns `undefined` when it is no reply but a notice */
export function parseReply(
  value: unknown,
): { readonly id: number; readonly lists?: Lists; readonly error?: string } | undefined {
  if (!isRecord(value) || typeof value["id"] !== "number") return undefined;
  const { id, lists, error } = value;
  if (typeof error === "string") return { id, error };
  return { id, lists: lists instanceof Map ? parseLists(lists) : new Map() };
}

function parseLists(lists: ReadonlyMap<unknown, unknown>): Lists {
  return new Map(
    [...lists].flatMap(([name, list]) =>
      typeof name === "string" && list instanceof Float64Array ? [[name, list] as const] : [],
    ),
  );
}

/** Jobs that a worker has run so far; `undefined` for any other message. */
export function parseRan(value: unknown): number | undefined {
  return isRecord(value) && typeof value["ran"] === "number" ? value["ran"] : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
