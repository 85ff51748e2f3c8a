import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { before, describe, it } from "node:test";

import type { Command } from "commander";

import { completionScript, SHELLS } from "./completion-script.ts";
import { createProgram } from "./program.ts";

let program: Command;
before(async () => {
  program = await createProgram([]);
});

describe("completionScript", () => {
  for (const shell of SHELLS) {
    it(`for ${shell} knows every command and option`, () => {
      const script = completionScript(shell, program);

      for (const command of program.commands) {
        assert.ok(script.includes(command.name()), command.name());
        for (const option of command.options) {
          const name = option.long?.slice(2) ?? "";
          assert.ok(script.includes(name), `${command.name()} ${name}`);
        }
      }
    });
  }

  /** What bash offers for the last of the words; runs where bash is. */
  function offeredByBash(...words: readonly string[]): readonly string[] {
    const script = `${completionScript("bash", program)}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}
_baton; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync("bash", ["--norc", "-c", script], { encoding: "utf8" });
    assert.equal(stderr, "");
    return stdout.trim().split("\n");
  }

  const offers: readonly (readonly [readonly string[], readonly string[]])[] = [
    [["baton", "st"], ["status"]],
    [
      ["baton", "dlq", ""],
      ["list", "redrive", "--help"],
    ],
    [["baton", "dlq", "re"], ["redrive"]],
    [["baton", "submit", "echo", "--retry-st"], ["--retry-strategy"]],
    [["baton", "submit", "--retry-strategy", "l"], ["linear"]],
    [
      ["baton", "completion", ""],
      ["bash", "zsh", "fish", "--help"],
    ],
    [["baton", "list", "--state", ""], [""]],
    [
      ["baton", "submit", "--file", join(import.meta.dirname, "bato")],
      [join(import.meta.dirname, "baton.ts")],
    ],
  ];
  for (const [words, expected] of offers) {
    it(`offers ${expected.join(", ")} for "${words.join(" ")}"`, () => {
      assert.deepEqual(offeredByBash(...words), expected);
    });
  }
});
