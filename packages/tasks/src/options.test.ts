import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { optionsFromEnvironment } from "./options.ts";

const CLOSED = {
  filesDirectory: undefined,
  outputDirectory: undefined,
  network: { allowPrivateAddresses: false, allowedAddresses: undefined },
  analysis: { memoryMegabytesMax: 512 },
  shell: undefined,
};

describe("optionsFromEnvironment", () => {
  it("opens nothing when nothing is set", () => {
    assert.deepEqual(optionsFromEnvironment({}), CLOSED);
  });

  it("takes empty variables for absent ones", () => {
    const empty = {
      BATON_TASKS_FILES_DIRECTORY: "",
      BATON_TASKS_OUTPUT_DIRECTORY: " ",
      BATON_TASKS_ALLOW_PRIVATE_ADDRESSES: "",
      BATON_TASKS_ALLOWED_ADDRESSES: "",
      BATON_TASKS_ANALYSIS_MEMORY_MB: "",
      BATON_TASKS_SHELL_COMMANDS: "",
    };

    assert.deepEqual(optionsFromEnvironment(empty), CLOSED);
  });

  it("reads every variable", () => {
    const options = optionsFromEnvironment({
      BATON_TASKS_FILES_DIRECTORY: "/srv/in",
      BATON_TASKS_OUTPUT_DIRECTORY: "/srv/out",
      BATON_TASKS_ALLOW_PRIVATE_ADDRESSES: "true",
      BATON_TASKS_ALLOWED_ADDRESSES: "169.254.1.0/24, ::1/128,",
      BATON_TASKS_ANALYSIS_MEMORY_MB: "1024",
      BATON_TASKS_SHELL_COMMANDS: "git, /usr/bin/make",
      BATON_TASKS_SHELL_ENVIRONMENT: "HOME,GIT_DIR",
    });

    assert.deepEqual(options, {
      filesDirectory: "/srv/in",
      outputDirectory: "/srv/out",
      network: { allowPrivateAddresses: true, allowedAddresses: ["169.254.1.0/24", "::1/128"] },
      analysis: { memoryMegabytesMax: 1_024 },
      shell: {
        allowedCommands: ["git", "/usr/bin/make"],
        allowedEnvironment: ["HOME", "GIT_DIR"],
      },
    });
  });

  it("takes * among the commands for all of them", () => {
    const { shell } = optionsFromEnvironment({ BATON_TASKS_SHELL_COMMANDS: "git,*" });

    assert.deepEqual(shell, { allowedCommands: "all", allowedEnvironment: undefined });
  });

  it("refuses addresses that are none, with the name of the variable", () => {
    assert.throws(
      () => optionsFromEnvironment({ BATON_TASKS_ALLOWED_ADDRESSES: "10.0.0.1,home" }),
      /^Error: BATON_TASKS_ALLOWED_ADDRESSES cannot be used\. .*received "home"\.$/,
    );
  });

  for (const [name, value] of [
    ["BATON_TASKS_ALLOW_PRIVATE_ADDRESSES", "yes"],
    ["BATON_TASKS_ANALYSIS_MEMORY_MB", "1GB"],
    ["BATON_TASKS_ANALYSIS_MEMORY_MB", "63"],
    ["BATON_TASKS_ANALYSIS_MEMORY_MB", "1048577"],
    ["BATON_TASKS_ANALYSIS_MEMORY_MB", "-5"],
  ] as const) {
    it(`refuses ${name}=${value} with the name, what is expected and what came`, () => {
      assert.throws(
        () => optionsFromEnvironment({ [name]: value }),
        new RegExp(`^Error: ${name} must be .*; it is "${value}"\\.$`),
      );
    });
  }
});
