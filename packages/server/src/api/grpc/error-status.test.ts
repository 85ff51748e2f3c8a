import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { status as Rpc } from "@grpc/grpc-js";
import { AppError, ERRORS, type ErrorCode } from "../../errors.ts";
import { ERROR_TRAILER_BYTES_MAX, errorStatus } from "./error-status.ts";

function aLogger() {
  const errors: { readonly fields: object; readonly message: string }[] = [];
  return {
    errors,
    error: (fields: object, message: string) => void errors.push({ fields, message }),
    warn: () => assert.fail("no warning was expected"),
  };
}

function trailerOf(status: ReturnType<typeof errorStatus>): unknown {
  const [text] = status.metadata.get("baton-error");
  return JSON.parse(String(text));
}

const CODES = Object.keys(ERRORS) as readonly string[] as readonly ErrorCode[];

describe("errorStatus", () => {
  for (const code of CODES.filter((name) => ERRORS[name].rpc !== Rpc.INTERNAL)) {
    it(`answers ${code} with ${Rpc[ERRORS[code].rpc]}, its message and its details`, () => {
      const logger = aLogger();

      const status = errorStatus(new AppError(code, "what and why", { id: 7 }), "/a/B", logger);

      assert.equal(status.code, ERRORS[code].rpc);
      assert.equal(status.details, "what and why");
      assert.deepEqual(trailerOf(status), {
        code,
        message: "what and why",
        details: { id: 7 },
        isRetryable: ERRORS[code].isRetryable,
      });
      assert.deepEqual(logger.errors, []);
    });
  }

  for (const code of CODES.filter((name) => ERRORS[name].rpc === Rpc.INTERNAL)) {
    it(`hides ${code}, which tells of the server's inside`, () => {
      const logger = aLogger();

      const status = errorStatus(new AppError(code, "secret path", { at: "/x" }), "/a/B", logger);

      assert.equal(status.code, Rpc.INTERNAL);
      assert.doesNotMatch(JSON.stringify(trailerOf(status)) + status.details, /secret|\/x/);
      assert.equal(logger.errors.length, 1);
    });
  }

  it("logs an unknown error once and tells its id instead of its text", () => {
    const logger = aLogger();
    const error = new TypeError("password=hunter2");

    const status = errorStatus(error, "/baton.v1.JobService/Get", logger);

    const [logged] = logger.errors;
    assert.equal(logger.errors.length, 1);
    assert.ok(logged !== undefined && "errorId" in logged.fields && "err" in logged.fields);
    assert.equal(logged.fields.err, error);
    assert.deepEqual(trailerOf(status), {
      code: "internal",
      message: `The server failed unexpectedly. Its log tells more under the error id ${String(logged.fields.errorId)}.`,
      details: { errorId: logged.fields.errorId },
      isRetryable: false,
    });
  });

  it("treats what is thrown and no error like one", () => {
    const logger = aLogger();

    assert.equal(errorStatus("text", "/a/B", logger).code, Rpc.INTERNAL);
    assert.equal(logger.errors.length, 1);
  });

  it("keeps all trailers below 8 KiB for the longest message and the most items", () => {
    const items = Array.from({ length: 10_000 }, (_, index) => ({
      index: index * 2,
      code: "invalid_argument",
      message: "\u0000ü\ud800".repeat(100),
    }));

    const status = errorStatus(
      new AppError("bulk_rejected", "\u0000ü😀".repeat(4_000), { items }),
      "/a/B",
      aLogger(),
    );

    const [trailer] = status.metadata.get("baton-error");
    assert.ok(String(trailer).length <= ERROR_TRAILER_BYTES_MAX);
    assert.ok(String(trailer).length + encodeURI(status.details).length <= 7_500);
    const told = trailerOf(status);
    assert.ok(typeof told === "object" && told !== null && "details" in told);
    assert.match(JSON.stringify(told.details), /"itemCount":10000/);
  });
});
