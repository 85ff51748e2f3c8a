/**
 * The one place where a task's connection is opened. Guarantees that no socket is connected to an address that the
 * policy refuses, whatever the URL, the name server or a redirect says: the address that is judged is the address that
 * is connected to, so a name that changes its answer between a check and a connect gains nothing.
 */
import { lookup as systemLookup, type LookupAddress } from "node:dns";
import { isIP, type LookupFunction } from "node:net";

import type { AddressKind, AddressPolicy } from "./address-policy.ts";

/** A connection that the policy refused. Carries what the message of the task needs. */
export class AddressRefused extends Error {
  readonly hostname: string;
  readonly kind: AddressKind;

  constructor(hostname: string, address: string, kind: AddressKind) {
    super(
      `Tasks on this worker may not connect to ${hostname === address ? "" : `${hostname}, which is `}` +
        `${address} (${kind.replace("_", "-")} address). ${HINTS[kind]}`,
    );
    this.name = "AddressRefused";
    this.hostname = hostname;
    this.kind = kind;
  }
}

const LISTED_HINT = "Whoever runs the worker can allow it by BATON_TASKS_ALLOWED_ADDRESSES.";
const PRIVATE_HINT =
  "Whoever runs the worker can allow it by BATON_TASKS_ALLOW_PRIVATE_ADDRESSES=true " +
  "or BATON_TASKS_ALLOWED_ADDRESSES.";
const HINTS: Readonly<Record<AddressKind, string>> = {
  public: LISTED_HINT,
  loopback: PRIVATE_HINT,
  private: PRIVATE_HINT,
  link_local: LISTED_HINT,
  metadata: LISTED_HINT,
  reserved: LISTED_HINT,
};

/** Finds every address of a name. As `dns.lookup` with `all`. */
export type ResolveName = (
  hostname: string,
  callback: (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void,
) => void;

const resolveBySystem: ResolveName = (hostname, callback) => {
  systemLookup(hostname, { all: true, order: "verbatim" }, callback);
};

/** Judges an address that stands in the URL itself, for which no name is looked up. */
export function refusalOfLiteral(
  policy: AddressPolicy,
  hostname: string,
): AddressRefused | undefined {
  const address = hostname.replace(/^\[|\]$/g, "");
  if (isIP(address) === 0) return undefined;
  const { kind, isPermitted } = policy.judge(address);
  return isPermitted ? undefined : new AddressRefused(address, address, kind);
}

/** A `lookup` for `net.connect` that answers with permitted addresses only, and fails when there is none. */
export function guardedLookup(
  policy: AddressPolicy,
  resolveName: ResolveName = resolveBySystem,
): LookupFunction {
  return (hostname, options, callback) => {
    resolveName(hostname, (error, addresses) => {
      if (error !== null) {
        callback(error, []);
        return;
      }
      const permitted = addresses.filter(({ address }) => policy.judge(address).isPermitted);
      const [first] = permitted;
      if (first === undefined) {
        const address = addresses[0]?.address ?? "";
        callback(new AddressRefused(hostname, address, policy.judge(address).kind), []);
        return;
      }
      if (options.all === true) callback(null, permitted);
      else callback(null, first.address, first.family);
    });
  };
}
