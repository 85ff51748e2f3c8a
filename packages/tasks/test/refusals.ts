import assert from "node:assert/strict";

import { BatonError, Fatal } from "@baton/sdk";

import type { FaultCode } from "../src/faults.ts";

/** A check for `assert.rejects`: the job is dead at once, with this code and message. */
export function endsForGood(code: FaultCode, message: RegExp) {
  return (error: unknown): true => {
    assert.ok(error instanceof Fatal, `expected a Fatal error, received ${String(error)}`);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}

/** A check for `assert.rejects`: the input does not fit the schema, and the message says where. */
export function invalidInput(message: RegExp) {
  return (error: unknown): true => {
    assert.ok(error instanceof BatonError, `expected a BatonError, received ${String(error)}`);
    assert.equal(error.code, "invalid_input");
    assert.match(error.message, message);
    return true;
  };
}

/** A check for `assert.rejects`: the job tries again by its retry policy. */
export function transient(message: RegExp) {
  return (error: unknown): true => {
    assert.ok(error instanceof Error, `expected an Error, received ${String(error)}`);
    assert.ok(!(error instanceof Fatal) && !(error instanceof BatonError), String(error));
    assert.match(error.message, message);
    return true;
  };
}
