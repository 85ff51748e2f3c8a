/**
 * The three shapes of a method: unary, server stream, client stream. They decode strictly, answer every error with a
 * status and the `baton-error` trailer, and encode the answer themselves, so that one that does not fit is an error
 * like any other.
 */
import { once } from "node:events";
import type {
  Server,
  ServerReadableStream,
  ServerWritableStream,
  sendUnaryData,
} from "@grpc/grpc-js";
import { MESSAGE_BYTES_MAX } from "../../domain/limits.ts";
import { AppError } from "../../errors.ts";
import type { Decoded } from "./decode.ts";
import { errorStatus, type Logger } from "./error-status.ts";

/** Adds one method to a server. */
export type Method = (server: Server) => void;

/** A method for each entry of a generated service definition: a missing one does not compile. */
export type Methods<Service> = { readonly [Name in keyof Service]: Method };

/** What all methods of one server share. */
export interface MethodContext {
  readonly logger: Logger;
  /** Streams that go on until somebody ends them; the server's shutdown does. */
  readonly openStreams: Set<AbortController>;
}

/** The parts of a generated method definition that are used; the request is read by a {@link Decoded} decoder. */
export interface MethodDefinition<Response> {
  readonly path: string;
  readonly responseSerialize: (response: Response) => Buffer;
}

type Decoder<Request> = (bytes: Buffer) => Decoded<Request>;

/** One request, one answer. `handle` may throw before it returns its promise. */
export function unary<Request, Response>(
  context: MethodContext,
  definition: MethodDefinition<Response>,
  decode: Decoder<Request>,
  handle: (request: Request) => Promise<Response>,
): Method {
  const { path } = definition;
  // Not in the asynchronous function: what that has had in its hands, it may keep until it ends.
  const start = (request: Received<Request>) => handle(messageOf(request.take(), path));
  const answer = async (request: Received<Request>, callback: sendUnaryData<Buffer>) => {
    try {
      callback(null, encode(definition, await start(request)));
    } catch (error) {
      callback(errorStatus(error, path, context.logger));
    }
  };
  return (server) => {
    server.register<Received<Request>, Buffer>(
      path,
      (call: { readonly request: Received<Request> }, callback: sendUnaryData<Buffer>) =>
        void answer(call.request, callback),
      asIs,
      (bytes) => new Received(decode(bytes)),
      "unary",
    );
  };
}

/**
 * One request, a stream of answers. A slow caller slows the source down: nothing is taken from it while the caller's
 * window is full. The signal aborts when the caller goes away, at its deadline, and when the server shuts down.
 */
export function serverStream<Request, Response>(
  context: MethodContext,
  definition: MethodDefinition<Response>,
  decode: Decoder<Request>,
  handle: (request: Request, signal: AbortSignal) => AsyncIterable<Response>,
): Method {
  const { path } = definition;
  const run = async (call: ServerWritableStream<Decoded<Request>, Buffer>) => {
    const stop = new AbortController();
    context.openStreams.add(stop);
    call.once("cancelled", () => stop.abort());
    try {
      const { signal } = stop;
      for await (const response of handle(messageOf(call.request, path), signal)) {
        signal.throwIfAborted();
        if (!call.write(encode(definition, response))) await once(call, "drain", { signal });
      }
      signal.throwIfAborted();
      call.end();
    } catch (error) {
      if (call.cancelled) return;
      const cause: unknown = stop.signal.aborted ? stop.signal.reason : error;
      call.emit("error", errorStatus(cause, path, context.logger));
    } finally {
      context.openStreams.delete(stop);
    }
  };
  return (server) => {
    server.register<Decoded<Request>, Buffer>(
      path,
      (call: ServerWritableStream<Decoded<Request>, Buffer>) => void run(call),
      asIs,
      decode,
      "serverStream",
    );
  };
}

/** A stream of requests, one answer. `handle` reads the stream and bounds what it takes; bad messages are its to judge. */
export function clientStream<Request, Response>(
  context: MethodContext,
  definition: MethodDefinition<Response>,
  decode: Decoder<Request>,
  handle: (call: ServerReadableStream<Decoded<Request>, Buffer>) => Promise<Response>,
): Method {
  const { path } = definition;
  const answer = async (
    call: ServerReadableStream<Decoded<Request>, Buffer>,
    callback: sendUnaryData<Buffer>,
  ) => {
    try {
      callback(null, encode(definition, await handle(call)));
    } catch (error) {
      callback(errorStatus(error, path, context.logger));
    }
  };
  return (server) => {
    server.register<Decoded<Request>, Buffer>(
      path,
      (call: ServerReadableStream<Decoded<Request>, Buffer>, callback: sendUnaryData<Buffer>) =>
        void answer(call, callback),
      asIs,
      decode,
      "clientStream",
    );
  };
}

/**
 * A request that is handed out once. grpc-js keeps it until the call is answered, and a bulk call waits for a commit:
 * what its jobs were read from would outlive several collections of the young generation.
 */
class Received<Request> {
  #decoded: Decoded<Request> | undefined;

  constructor(decoded: Decoded<Request>) {
    this.#decoded = decoded;
  }

  take(): Decoded<Request> {
    const decoded = this.#decoded;
    if (decoded === undefined) throw new Error("the request was taken already");
    this.#decoded = undefined;
    return decoded;
  }
}

/** @throws AppError invalid_argument */
export function messageOf<Request>(request: Decoded<Request>, path: string): Request {
  if (request.kind === "ok") return request.message;
  throw new AppError(
    "invalid_argument",
    `Expected the request message of ${path}, received bytes that are none: ${request.reason}. ` +
      `Are both sides built from the same proto files?`,
  );
}

function encode<Response>(definition: MethodDefinition<Response>, response: Response): Buffer {
  const bytes = definition.responseSerialize(response);
  if (bytes.length <= MESSAGE_BYTES_MAX) return bytes;
  throw new AppError(
    "resource_exhausted",
    `The answer has ${bytes.length} bytes, at most ${MESSAGE_BYTES_MAX} go into one message. ` +
      `Ask for fewer items or without payloads.`,
    { bytes: bytes.length, bytesMax: MESSAGE_BYTES_MAX },
  );
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}
