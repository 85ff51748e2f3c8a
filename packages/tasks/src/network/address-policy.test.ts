import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { addressKind, createAddressPolicy } from "./address-policy.ts";

describe("addressKind", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["8.8.8.8", "public"],
    ["1.1.1.1", "public"],
    ["172.15.255.255", "public"],
    ["172.32.0.0", "public"],
    ["2606:4700:4700::1111", "public"],
    ["64:ff9b::8.8.8.8", "public"],
    ["::ffff:8.8.8.8", "public"],
    ["127.0.0.1", "loopback"],
    ["127.255.255.254", "loopback"],
    ["::1", "loopback"],
    ["::ffff:127.0.0.1", "loopback"],
    ["::ffff:7f00:1", "loopback"],
    ["64:ff9b::127.0.0.1", "loopback"],
    ["10.0.0.1", "private"],
    ["172.16.0.1", "private"],
    ["172.31.255.255", "private"],
    ["192.168.1.1", "private"],
    ["100.64.0.1", "private"],
    ["fd12:3456::1", "private"],
    ["::ffff:10.0.0.1", "private"],
    ["64:ff9b::a00:1", "private"],
    ["169.254.1.1", "link_local"],
    ["fe80::1", "link_local"],
    ["169.254.169.254", "metadata"],
    ["::ffff:169.254.169.254", "metadata"],
    ["64:ff9b::a9fe:a9fe", "metadata"],
    ["100.100.100.200", "metadata"],
    ["168.63.129.16", "metadata"],
    ["fd00:ec2::254", "metadata"],
    ["0.0.0.0", "reserved"],
    ["::", "reserved"],
    ["192.0.2.1", "reserved"],
    ["224.0.0.1", "reserved"],
    ["255.255.255.255", "reserved"],
    ["2001:db8::1", "reserved"],
    ["2001::1", "reserved"],
    ["2002:7f00:1::", "reserved"],
    ["64:ff9b:1::1", "reserved"],
    ["ff02::1", "reserved"],
    ["::7f00:1", "reserved"],
    ["not an address", "reserved"],
    ["", "reserved"],
  ];
  for (const [address, kind] of cases) {
    it(`calls ${address === "" ? "an empty text" : address} ${kind}`, () => {
      assert.equal(addressKind(address), kind);
    });
  }
});

describe("createAddressPolicy", () => {
  const ADDRESSES = [
    "8.8.8.8",
    "127.0.0.1",
    "10.0.0.1",
    "169.254.1.1",
    "169.254.169.254",
    "0.0.0.0",
  ];
  const permitted = (options: Parameters<typeof createAddressPolicy>[0]) =>
    ADDRESSES.filter((address) => createAddressPolicy(options).judge(address).isPermitted);

  it("permits public addresses only when nothing is configured", () => {
    assert.deepEqual(permitted({}), ["8.8.8.8"]);
  });

  it("permits loopback and private addresses, but not link-local and metadata ones, when opened", () => {
    assert.deepEqual(permitted({ allowPrivateAddresses: true }), [
      "8.8.8.8",
      "127.0.0.1",
      "10.0.0.1",
    ]);
  });

  it("permits listed blocks and single addresses and nothing beside them", () => {
    const options = { allowedAddresses: ["127.0.0.0/8", "169.254.169.254"] };

    assert.deepEqual(permitted(options), ["8.8.8.8", "127.0.0.1", "169.254.169.254"]);
  });

  for (const block of [
    "",
    "localhost",
    "10.0.0.0/33",
    "::1/129",
    "10.0.0.0/",
    "10.0.0.0/8/8",
    "10.0.0.0/-1",
  ]) {
    it(`refuses "${block}" as a block`, () => {
      assert.throws(
        () => createAddressPolicy({ allowedAddresses: [block] }),
        /CIDR blocks such as/,
      );
    });
  }
});
