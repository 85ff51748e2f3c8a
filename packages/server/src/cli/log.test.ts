import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { logText } from "./log.ts";

const TIME = new Date(2026, 10, 22, 14, 5, 6, 7).getTime();

describe("logText", () => {
  it("shows time, level, message and fields, and hides what nobody reads", () => {
    const entry = {
      level: 30,
      time: TIME,
      pid: 1,
      hostname: "h",
      httpPort: 8080,
      to: "a b",
      msg: "ready",
    };

    assert.equal(
      logText(JSON.stringify(entry)),
      '14:05:06.007  info   ready  httpPort=8080 to="a b"',
    );
  });

  it("shows the message of an error that is no fault", () => {
    const err = { message: "connection refused", code: "ECONNREFUSED", stack: "Error\n    at x" };
    const entry = { level: 40, time: TIME, err, msg: "away" };

    assert.equal(
      logText(JSON.stringify(entry)),
      "14:05:06.007  warn   away\n    connection refused (ECONNREFUSED)",
    );
  });

  it("shows where a fault happened", () => {
    const err = { message: "broken", stack: "Error: broken\n    at here (a.ts:1:2)" };
    const entry = { level: 50, time: TIME, err, msg: "failed" };

    assert.equal(
      logText(JSON.stringify(entry)),
      "14:05:06.007  error  failed\n    broken\n    at here (a.ts:1:2)",
    );
  });

  it("makes visible what would steer the terminal", () => {
    const entry = { level: 30, time: TIME, msg: "\u001b[2Jgone", name: "\u001b]0;x" };

    assert.equal(
      logText(JSON.stringify(entry)),
      "14:05:06.007  info   \\x1b[2Jgone  name=\\x1b]0;x",
    );
  });

  it("passes on what is no entry", () => {
    assert.equal(logText("plain words\n"), "plain words");
  });
});
