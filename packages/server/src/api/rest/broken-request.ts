/** What Node answers by itself without a word, answered as every other error is. */
import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { FastifyRequest } from "fastify";
import { AppError, ERRORS, type ErrorCode } from "../../errors.ts";
import { problemJson, RETRY_AFTER_SECONDS } from "./problem.ts";

/** Answers bytes that are not an HTTP request, or that came too slowly, and closes the connection. */
export function answerBrokenRequest(
  fault: Error & { readonly code?: string },
  socket: Socket,
): void {
  if (fault.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const [code, detail] = BROKEN_REQUESTS[fault.code ?? ""] ?? NO_HTTP;
  const { http: status, isRetryable } = ERRORS[code];
  const body = problemJson(new AppError(code, detail), "");
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nx-request-id: ${randomUUID()}\r\n` +
      (isRetryable ? `retry-after: ${RETRY_AFTER_SECONDS}\r\n` : "") +
      `connection: close\r\n\r\n${body}`,
  );
}

const BROKEN_REQUESTS: Readonly<Record<string, readonly [code: ErrorCode, detail: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [
    "request_timeout",
    "expected the whole request in time, received a part of it",
  ],
  HPE_HEADER_OVERFLOW: ["headers_too_large", "expected at most 16 KiB of headers, received more"],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [
    "payload_too_large",
    "expected at most 16 KiB of chunk extensions, received more",
  ],
};
const NO_HTTP = [
  "malformed_request",
  "expected an HTTP/1.1 request, received something else",
] as const;

/** Node's own check of this is off, because its answer has no body. @throws AppError malformed_request */
export function checkHost({ raw }: FastifyRequest): void {
  if (raw.httpVersion !== "1.1" || raw.headers.host !== undefined) return;
  throw new AppError(
    "malformed_request",
    "expected a header host, as HTTP/1.1 has it; received none",
  );
}
