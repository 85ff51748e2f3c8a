/** A gRPC stream as bytes on an HTTP/2 connection of its own: for what a proper client never sends. */
import { once } from "node:events";
import http2 from "node:http2";

import { frame, openCall, roundTrip } from "../packages/server/test/grpc.ts";
import type { Stage } from "./stage.ts";

export interface WireStream {
  /** Sends bytes, and resolves when the server has read them. */
  send(bytes: Uint8Array): Promise<void>;
  /** Sends a whole message. */
  message(bytes: Uint8Array): Promise<void>;
  /** The next bytes that come down. */
  received(): Promise<Buffer>;
  /** Closes this side in order and waits for the server's answer. */
  finish(): Promise<WireEnd>;
  /** Waits for the server to end the stream. */
  ended: Promise<WireEnd>;
  /** Cuts the connection as a broken network does. */
  cut(): Promise<void>;
}

/** The trailers of a stream; both undefined when it was cut without. */
export interface WireEnd {
  readonly status: string | undefined;
  readonly message: string | undefined;
}

/** Opens a stream. Its connection is cut after the test. */
export async function aWireStream(
  stage: Stage,
  address: string,
  method: string,
): Promise<WireStream> {
  const session = http2.connect(`http://${address}`);
  session.on("error", () => undefined);
  stage.after(() => session.destroy());
  await once(session, "connect");
  const call = openCall(session, method);
  const ended = Promise.withResolvers<WireEnd>();
  const end = (headers: http2.IncomingHttpHeaders): void => {
    const status = headers["grpc-status"];
    if (status === undefined) return;
    const message = headers["grpc-message"];
    ended.resolve({
      status: String(status),
      message: message === undefined ? undefined : decodeURIComponent(String(message)),
    });
  };
  call.on("response", end);
  call.on("trailers", end);
  call.on("close", () => ended.resolve({ status: undefined, message: undefined }));
  // Somebody must read, or the trailers never come.
  call.on("data", () => undefined);
  const send = async (bytes: Uint8Array): Promise<void> => {
    call.write(bytes);
    await roundTrip(session);
  };
  return {
    send,
    message: (bytes) => send(frame(bytes)),
    received: async () => {
      const [bytes]: unknown[] = await once(call, "data");
      return bytes as Buffer;
    },
    finish: () => {
      call.end();
      return ended.promise;
    },
    ended: ended.promise,
    cut: async () => {
      const closed = once(session, "close");
      session.destroy();
      await closed;
    },
  };
}
