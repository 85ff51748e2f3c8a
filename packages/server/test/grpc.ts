/** A gRPC server on loopback over operations that a test scripts, and what a test needs to call it. */
import { once } from "node:events";
import http2 from "node:http2";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import type { WorkerConnect } from "../src/api/grpc/workers.ts";
import {
  createGrpcServer,
  type GrpcServer,
  type GrpcServerOptions,
} from "../src/api/grpc/server.ts";
import type { Operations } from "../src/api/operations.ts";
import type { JobView } from "../src/domain/views.ts";

/** What the server logged. */
export interface LogEntry {
  readonly level: "error" | "warn";
  readonly fields: object;
  readonly message: string;
}

export interface GrpcBench extends AsyncDisposable {
  readonly grpc: GrpcServer;
  readonly address: string;
  readonly logs: readonly LogEntry[];
  /** Closed with the bench. */
  readonly client: Client;
  /** Calls a unary method and resolves to its answer. */
  answer<Request, Response>(
    method: UnaryDefinition<Request, Response>,
    request: Request,
  ): Promise<Response>;
  /** Calls a unary method and resolves to how it failed; rejects when it did not. */
  refusal<Request, Response>(
    method: UnaryDefinition<Request, Response>,
    request: Request,
  ): Promise<Refusal>;
  /** An HTTP/2 session that is destroyed with the bench, for what a proper client never sends. */
  session(): Promise<http2.ClientHttp2Session>;
}

/** The parts of a generated method definition that a caller uses. */
export interface UnaryDefinition<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

type BenchOptions = Partial<Omit<GrpcServerOptions, "operations">>;

/** Starts a server whose operations are `scripted`; every other operation fails as unexpected. */
export async function startGrpc(
  scripted: Partial<Operations> = {},
  options: BenchOptions = {},
): Promise<GrpcBench> {
  const logs: LogEntry[] = [];
  const logger = {
    error: (fields: object, message: string) => void logs.push({ level: "error", fields, message }),
    warn: (fields: object, message: string) => void logs.push({ level: "warn", fields, message }),
  };
  const grpc = createGrpcServer({
    operations: scriptedOperations(scripted),
    workerConnect: unexpectedConnect,
    serverId: () => "server-1",
    logger,
    ...options,
  });
  const port = await grpc.listen("127.0.0.1:0");
  const address = `127.0.0.1:${port}`;
  const client = new Client(address, credentials.createInsecure());
  const sessions: http2.ClientHttp2Session[] = [];

  const answer = <Request, Response>(
    method: UnaryDefinition<Request, Response>,
    request: Request,
  ): Promise<Response> => {
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const { path, requestSerialize, responseDeserialize } = method;
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      (error: ServiceError | null, response?: Response) => {
        if (response === undefined) reject(error ?? new Error("neither error nor answer"));
        else resolve(response);
      },
    );
    return promise;
  };

  return {
    grpc,
    address,
    logs,
    client,
    answer,
    async refusal(method, request) {
      const error: unknown = await answer(method, request).then(
        (response) => new Error(`expected an error, received ${JSON.stringify(response)}`),
        (reason: unknown) => reason,
      );
      if (isServiceError(error)) return refusalFrom(error);
      throw error;
    },
    async session() {
      const session = http2.connect(`http://${address}`);
      // A test that breaks the connection on purpose sees the break elsewhere.
      session.on("error", () => undefined);
      sessions.push(session);
      await once(session, "connect");
      return session;
    },
    async [Symbol.asyncDispose]() {
      client.close();
      for (const session of sessions) session.destroy();
      await grpc.shutdown(0);
    },
  };
}

const unexpectedConnect: WorkerConnect = (call) => {
  call.emit("error", new Error("no worker was expected"));
};

/** What a caller can know of a failed call. */
export interface Refusal {
  readonly status: number;
  readonly message: string;
  /** The trailer `baton-error`; undefined when there is none. */
  readonly told: unknown;
}

export function refusalFrom(error: ServiceError): Refusal {
  const [text] = error.metadata.get("baton-error");
  return {
    status: error.code,
    message: error.details,
    told: text === undefined ? undefined : JSON.parse(text.toString()),
  };
}

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "metadata" in error && error.metadata instanceof Metadata;
}

/** A method that is called with bytes and answers with bytes. */
export function bareMethod(path: string): UnaryDefinition<Uint8Array, Buffer> {
  return { path, requestSerialize: (bytes) => Buffer.from(bytes), responseDeserialize: asBuffer };
}

export function asBuffer(bytes: Buffer): Buffer {
  return bytes;
}

/** A gRPC frame around a message: not compressed, length, bytes. */
export function frame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** Opens a gRPC call on a bare HTTP/2 session. */
export function openCall(
  session: http2.ClientHttp2Session,
  path: string,
  headers: http2.OutgoingHttpHeaders = {},
): http2.ClientHttp2Stream {
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  stream.on("error", () => undefined);
  return stream;
}

/** Resolves when the server has read everything that was sent on the session before. */
export async function roundTrip(session: http2.ClientHttp2Session): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  session.ping((error) => {
    if (error === null) resolve();
    else reject(error);
  });
  await promise;
}

export const JOB_ID = "01968d34-5a3e-7000-8a2b-3c4d5e6f7a8b";

/** A queued job; a test says what is different. */
export function aJobView(different: Partial<JobView> = {}): JobView {
  return {
    id: JOB_ID,
    task: "echo",
    queue: "default",
    state: "queued",
    priority: 0,
    attempt: 0,
    maxAttempts: 3,
    failureCount: 0,
    input: '{"a":1}',
    tags: [],
    createdAt: new Date("2026-11-22T10:00:00.000Z"),
    ...different,
  };
}

function scriptedOperations(scripted: Partial<Operations>): Operations {
  const unexpected = (name: string) => () => {
    throw new Error(`operations.${name} was not expected to be called`);
  };
  return {
    submit: unexpected("submit"),
    jobGet: unexpected("jobGet"),
    attemptList: unexpected("attemptList"),
    jobList: unexpected("jobList"),
    logList: unexpected("logList"),
    cancel: unexpected("cancel"),
    cancelMany: unexpected("cancelMany"),
    redrive: unexpected("redrive"),
    redriveMany: unexpected("redriveMany"),
    watchJob: unexpected("watchJob"),
    watchEvents: unexpected("watchEvents"),
    queueList: unexpected("queueList"),
    queuePause: unexpected("queuePause"),
    queueResume: unexpected("queueResume"),
    taskList: unexpected("taskList"),
    taskGet: unexpected("taskGet"),
    taskPut: unexpected("taskPut"),
    workerList: unexpected("workerList"),
    serverList: unexpected("serverList"),
    jobCounts: unexpected("jobCounts"),
    isReady: async () => true,
    ...scripted,
  };
}
