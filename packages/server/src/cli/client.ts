/** What all commands share that talk to a server. */
import { createClient, type Client } from "@baton/sdk";
import { Option, type Command } from "commander";

/** Options of {@link withAddressOption}. */
export interface AddressFlags {
  readonly address: string;
}

/** Options of {@link withClientOptions}. */
export interface ClientFlags extends AddressFlags {
  readonly json?: true;
}

const ADDRESS_DEFAULT = "localhost:9000";
/** The length of a restart of the server; a person who waits longer believes that the command hangs. */
const CONNECT_TIMEOUT_MS = 3_000;

/** Adds `--address`. */
export function withAddressOption(command: Command): Command {
  return command.addOption(
    new Option("--address <host:port>", "gRPC address of a server")
      .env("BATON_ADDRESS")
      .default(ADDRESS_DEFAULT)
      // An empty variable counts as absent.
      .argParser((text) => (text === "" ? ADDRESS_DEFAULT : text)),
  );
}

/** Adds `--address` and `--json`. */
export function withClientOptions(command: Command): Command {
  return withAddressOption(command).option(
    "--json",
    "print JSON: one document, or one line for each item of a stream",
  );
}

/** Runs `work` with a client and closes it. */
export async function useClient<Result>(
  flags: ClientFlags,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  const client = createClient({ address: flags.address, connectTimeoutMs: CONNECT_TIMEOUT_MS });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}
