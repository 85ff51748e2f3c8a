/** Durations and instants for people. */

const UNITS: readonly (readonly [string, number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
];

/** Examples: `12 ms`, `3.4 s`, `2 m 5 s`, `3 d 4 h`. */
export function durationText(durationMs: number): string {
  const ms = Math.max(0, Math.round(durationMs));
  if (ms < 1_000) return `${ms} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const index = UNITS.findIndex(([, unitMs]) => ms >= unitMs);
  const [unit, unitMs] = UNITS[index] ?? ["s", 1_000];
  const [next, nextMs] = UNITS[index + 1] ?? ["s", 1_000];
  const rest = Math.floor((ms % unitMs) / nextMs);
  return `${Math.floor(ms / unitMs)} ${unit}${rest === 0 ? "" : ` ${rest} ${next}`}`;
}

/** Example: `3 m 2 s ago`, or `in 4.0 s` for what is ahead. */
export function agoText(instant: Date, now: Date = new Date()): string {
  const ageMs = now.getTime() - instant.getTime();
  return ageMs < 0 ? `in ${durationText(-ageMs)}` : `${durationText(ageMs)} ago`;
}

/** Local time of day with milliseconds. */
export function clockText(instant: Date): string {
  const part = (value: number, width = 2) => String(value).padStart(width, "0");
  const time = [instant.getHours(), instant.getMinutes(), instant.getSeconds()];
  return `${time.map((value) => part(value)).join(":")}.${part(instant.getMilliseconds(), 3)}`;
}
