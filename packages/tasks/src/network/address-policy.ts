/**
 * Which addresses a task may connect to. Jobs come from people who are not on the worker's network, so a URL in a job
 * must not become a way into it (server-side request forgery).
 *
 * Decided per address, after name resolution, never by the name: `metadata.example.com` may resolve to anything.
 */
import { BlockList, isIP, isIPv6 } from "node:net";

export interface NetworkOptions {
  /** Lets tasks reach loopback and private networks. Link-local and metadata addresses stay refused. @default false */
  readonly allowPrivateAddresses?: boolean | undefined;
  /** CIDR blocks (`10.1.0.0/16`, `::1/128`) or addresses that are allowed whatever else is said. @default [] */
  readonly allowedAddresses?: readonly string[] | undefined;
}

export type AddressKind =
  | "public"
  | "loopback"
  | "private"
  | "link_local"
  | "metadata"
  | "reserved";

export interface AddressPolicy {
  /** What the address is, and whether a task may connect to it. */
  judge(address: string): { readonly kind: AddressKind; readonly isPermitted: boolean };
}

// IANA special-purpose address registries (RFC 6890 and later), read November 2026. The first kind that matches wins.
const KINDS: readonly (readonly [AddressKind, readonly string[], readonly string[]])[] = [
  [
    "metadata",
    // AWS, Azure, Google and most others; Alibaba; Oracle; Azure's host agent.
    ["169.254.169.254/32", "100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32"],
    // AWS; Google; Scaleway.
    ["fd00:ec2::254/128", "fd20:ce::254/128", "fd00:42::42/128"],
  ],
  ["loopback", ["127.0.0.0/8"], ["::1/128"]],
  [
    "private",
    // RFC 1918, and RFC 6598 (carrier-grade NAT, used by overlay networks).
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"],
    ["fc00::/7"],
  ],
  ["link_local", ["169.254.0.0/16"], ["fe80::/10"]],
  [
    "reserved",
    [
      "0.0.0.0/8",
      "192.0.0.0/24",
      "192.0.2.0/24",
      "192.88.99.0/24",
      "198.18.0.0/15",
      "198.51.100.0/24",
      "203.0.113.0/24",
      "224.0.0.0/4",
      "240.0.0.0/4",
    ],
    // Protocol assignments with Teredo, documentation, 6to4: none of them is a place to fetch from, and the tunnels
    // carry IPv4 addresses that the lists above would not see.
    ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"],
  ],
];
// An IPv4 address inside an IPv6 one: mapped (RFC 4291) and NAT64 (RFC 6052). Judged as the IPv4 address.
const EMBEDDING_PREFIXES = ["::ffff:", "64:ff9b::"] as const;
const EMBEDDING_BITS = 96;
// Every IPv6 address for public use is in here.
const PUBLIC_IPV6 = ["2000::/3", "64:ff9b::/96", "::ffff:0:0/96"] as const;

const KIND_LISTS: readonly (readonly [AddressKind, BlockList])[] = KINDS.map(([kind, v4, v6]) => {
  const embedded = EMBEDDING_PREFIXES.flatMap((prefix) => v4.map((block) => embed(prefix, block)));
  return [kind, blockList([...v4, ...v6, ...embedded])] as const;
});
const PUBLIC_IPV6_LIST = blockList(PUBLIC_IPV6);

/**
 * Makes the judge of one configuration.
 *
 * @throws Error when an entry of `allowedAddresses` is neither an address nor a CIDR block
 */
export function createAddressPolicy(options: NetworkOptions): AddressPolicy {
  const allowed = blockList(options.allowedAddresses ?? []);
  const opensPrivate = options.allowPrivateAddresses ?? false;
  return {
    judge(address) {
      const kind = addressKind(address);
      const isPermitted =
        kind === "public" ||
        isListed(allowed, address) ||
        (opensPrivate && (kind === "loopback" || kind === "private"));
      return { kind, isPermitted };
    },
  };
}

/** What an IP address is for. Text that is no IP address is `reserved`, so that it is refused. */
export function addressKind(address: string): AddressKind {
  if (isIP(address) === 0) return "reserved";
  const match = KIND_LISTS.find(([, list]) => isListed(list, address));
  if (match !== undefined) return match[0];
  return isIPv6(address) && !isListed(PUBLIC_IPV6_LIST, address) ? "reserved" : "public";
}

function isListed(list: BlockList, address: string): boolean {
  return isIP(address) !== 0 && list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

function embed(prefix: string, block: string): string {
  const [address = "", bits = ""] = block.split("/");
  return `${prefix}${address}/${EMBEDDING_BITS + Number(bits)}`;
}

function blockList(blocks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const block of blocks) addBlock(list, block.trim());
  return list;
}

function addBlock(list: BlockList, block: string): void {
  const [address = "", bits, ...rest] = block.split("/");
  const family = isIP(address);
  const bitsMax = family === 6 ? 128 : 32;
  const prefixBits =
    bits === undefined ? bitsMax : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
  if (family === 0 || rest.length > 0 || !(prefixBits <= bitsMax)) {
    throw new Error(
      `Allowed addresses must be IP addresses or CIDR blocks such as 10.1.0.0/16 or ::1/128; received "${block}".`,
    );
  }
  list.addSubnet(address, prefixBits, family === 6 ? "ipv6" : "ipv4");
}
