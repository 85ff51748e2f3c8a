/** Where the server is and how to talk to it. */
import { credentials as grpcCredentials, Metadata } from "@grpc/grpc-js";
import type { ChannelCredentials, ClientOptions } from "@grpc/grpc-js";

import { BatonError } from "./errors.ts";
import { KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS, MESSAGE_BYTES_MAX } from "./limits.ts";

export interface ConnectionOptions {
  /** `host:port`. @default the environment's BATON_ADDRESS, or "localhost:9000" */
  readonly address?: string | undefined;
  /** Sent with every call as `authorization: Bearer …`. */
  readonly token?: string | undefined;
  /** Channel credentials of @grpc/grpc-js, for TLS. @default insecure */
  readonly credentials?: ChannelCredentials | undefined;
}

/** Options with their defaults. */
export interface Connection {
  readonly address: string;
  readonly credentials: ChannelCredentials;
  readonly channelOptions: Partial<ClientOptions>;
  /** A fresh one for each call. */
  readonly metadata: () => Metadata;
}

/** @throws BatonError invalid_argument: an address that is not `host:port`, a token that no header can carry */
export function resolveConnection(options: ConnectionOptions): Connection {
  const address = options.address ?? process.env["BATON_ADDRESS"] ?? DEFAULT_ADDRESS;
  if (!ADDRESS.test(address)) {
    throw new BatonError(
      "invalid_argument",
      `address must be host:port of the server's gRPC, for instance ${DEFAULT_ADDRESS}, ` +
        `got ${JSON.stringify(address)}`,
      { address },
    );
  }
  const { token } = options;
  checkToken(token);
  return {
    address,
    credentials: options.credentials ?? grpcCredentials.createInsecure(),
    channelOptions: CHANNEL_OPTIONS,
    metadata: () => {
      const metadata = new Metadata();
      if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
      return metadata;
    },
  };
}

/** One from a file often ends in a line feed. The message must not show the token; that of gRPC would. */
function checkToken(token: string | undefined): void {
  const at = token?.search(/[^ -~]/) ?? -1;
  if (token === undefined || at === -1) return;
  throw new BatonError(
    "invalid_argument",
    `token must be printable ASCII, got ${JSON.stringify(token[at])} at index ${at} of ${token.length} characters`,
    { option: "token" },
  );
}

const DEFAULT_ADDRESS = "localhost:9000";
/** A name, an IPv4 address or an IPv6 address in brackets, and a port. */
const ADDRESS = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}$/;

const CHANNEL_OPTIONS: Partial<ClientOptions> = {
  // A restart of the server takes a second; the defaults (1 s growing to 2 min) would be felt long after it.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  // A watch says nothing for hours; only this notices that the server's machine is gone.
  "grpc.keepalive_time_ms": KEEPALIVE_MS,
  "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
  "grpc.max_receive_message_length": MESSAGE_BYTES_MAX + 1024 * 1024,
  "grpc.max_send_message_length": -1,
};
