// @ts-check
/** One line on standard error: redrawn on a terminal, printed now and then elsewhere. */

/** Elsewhere a line that only counts on is repeated so seldom. */
const REPEAT_SECONDS = 30;

export function openProgress(stream = process.stderr) {
  let lastText = "";
  let lastSeconds = 0;
  let isDrawn = false;
  const clear = () => {
    if (isDrawn) stream.write("\r\u001b[K");
    isDrawn = false;
  };
  return {
    /** @param {string} text @param {number} [seconds] elapsed */
    show(text, seconds = 0) {
      const line = seconds > 0 ? `${text} … ${seconds} s` : `${text} …`;
      if (stream.isTTY) {
        clear();
        stream.write(line.slice(0, Math.max(20, (stream.columns ?? 80) - 1)));
        isDrawn = true;
      } else if (text !== lastText || seconds >= lastSeconds + REPEAT_SECONDS) {
        stream.write(`${line}\n`);
        lastSeconds = seconds;
      }
      lastText = text;
    },
    /** Leaves a line that stays. @param {string} text */
    say(text) {
      clear();
      stream.write(`${text}\n`);
    },
    end: clear,
  };
}
