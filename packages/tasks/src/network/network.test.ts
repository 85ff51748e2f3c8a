import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, it } from "node:test";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";

import { localServer } from "../../test/local-server.ts";
import { endsForGood, transient } from "../../test/refusals.ts";
import type { NetworkOptions } from "./address-policy.ts";
import type { ResolveName } from "./guarded-connector.ts";
import { createNetwork, type BoundedRequest } from "./network.ts";

const PRIVATE: NetworkOptions = { allowPrivateAddresses: true };
const METADATA_URL = "http://169.254.169.254/latest/meta-data/";

function aRequest(url: string, changes: Partial<BoundedRequest> = {}): BoundedRequest {
  return {
    url,
    timeoutMs: 10_000,
    responseBytesMax: 1_000,
    redirectsMax: 5,
    signal: new AbortController().signal,
    ...changes,
  };
}

function redirectTo(location: string, status = 302) {
  return (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(status, { location }).end();
  };
}

describe("createNetwork", () => {
  it("reads a response with its status, headers and body", async () => {
    await using server = await localServer((_request, response) => {
      response.writeHead(418, { "content-type": "text/plain", "x-many": ["a", "b"] }).end("short");
    });

    const response = await createNetwork(PRIVATE).request(aRequest(`${server.origin}/tea?x=1`));

    assert.equal(response.status, 418);
    assert.deepEqual(response.headers["x-many"], ["a", "b"]);
    assert.equal(response.body.toString(), "short");
    assert.equal(response.url.href, `${server.origin}/tea?x=1`);
    assert.deepEqual(server.requestedPaths, ["/tea?x=1"]);
  });

  for (const [encoding, compress] of [
    ["gzip", gzipSync],
    ["br", brotliCompressSync],
    ["zstd", zstdCompressSync],
    ["identity", (text: string) => Buffer.from(text)],
  ] as const) {
    it(`decodes ${encoding}`, async () => {
      await using server = await localServer((_request, response) => {
        response.writeHead(200, { "content-encoding": encoding }).end(compress("some text"));
      });

      const response = await createNetwork(PRIVATE).request(aRequest(server.origin));

      assert.equal(response.body.toString(), "some text");
    });
  }

  it("refuses a small body that decodes to more than the limit", async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    await using server = await localServer((_request, response) => {
      response.writeHead(200, { "content-encoding": "gzip" }).end(bomb);
    });

    const request = createNetwork(PRIVATE).request(
      aRequest(server.origin, { responseBytesMax: 100_000 }),
    );

    await assert.rejects(request, endsForGood("response_too_large", /sent more than 100000 bytes/));
  });

  it("refuses a body without end at the limit", async () => {
    await using server = await localServer((_request, response) => {
      const send = () => {
        while (!response.destroyed && response.write("x".repeat(10_000)));
      };
      response.on("drain", send);
      send();
    });

    const request = createNetwork(PRIVATE).request(aRequest(server.origin));

    await assert.rejects(request, endsForGood("response_too_large", /sent more than 1000 bytes/));
  });

  it("keeps the start of a larger body when asked to truncate", async () => {
    await using server = await localServer((_request, response) => {
      response.end("x".repeat(5_000));
    });

    const response = await createNetwork(PRIVATE).request(
      aRequest(server.origin, { overflow: "truncate" }),
    );

    assert.equal(response.body.length, 1_000);
  });

  it("takes a body of exactly the limit", async () => {
    await using server = await localServer((_request, response) => {
      response.end("x".repeat(1_000));
    });

    const response = await createNetwork(PRIVATE).request(aRequest(server.origin));

    assert.equal(response.body.length, 1_000);
  });

  it("ends a request that is not answered in time with an error that may be retried", async () => {
    await using server = await localServer(() => {});

    const request = createNetwork(PRIVATE).request(aRequest(server.origin, { timeoutMs: 50 }));

    await assert.rejects(request, transient(/did not answer completely within 50 ms/));
  });

  it("ends a request whose body stalls", async () => {
    await using server = await localServer((_request, response) => {
      response.write("a");
    });

    const request = createNetwork(PRIVATE).request(aRequest(server.origin, { timeoutMs: 50 }));

    await assert.rejects(request, transient(/within 50 ms/));
  });

  it("stops with the signal's reason and closes the connection", async () => {
    const arrived = Promise.withResolvers<IncomingMessage>();
    await using server = await localServer((request) => {
      arrived.resolve(request);
    });
    const controller = new AbortController();
    const reason = new Error("cancelled by its owner");

    const request = createNetwork(PRIVATE).request(
      aRequest(server.origin, { signal: controller.signal }),
    );
    const refused = assert.rejects(request, reason);
    const closed = once((await arrived.promise).socket, "close");
    controller.abort(reason);

    await refused;
    await closed;
  });

  it("says which connection failed", async () => {
    const server = await localServer(() => {});
    await server[Symbol.asyncDispose]();

    const request = createNetwork(PRIVATE).request(aRequest(`${server.origin}/a?key=secret`));

    await assert.rejects(request, transient(/^The request to .*\/a failed: .*ECONNREFUSED/));
  });

  it("reports a response that breaks off as an error that may be retried", async () => {
    await using server = await localServer((_request, response) => {
      response.writeHead(200, { "content-length": "500" });
      response.write("part", () => response.destroy());
    });

    await assert.rejects(
      createNetwork(PRIVATE).request(aRequest(server.origin)),
      transient(/^The request to/),
    );
  });
});

describe("createNetwork, addresses", () => {
  for (const url of [
    "http://127.0.0.1:1/",
    "http://[::1]:1/",
    "http://0x7f000001:1/",
    "http://2130706433:1/",
    "http://127.1:1/",
    "http://[::ffff:127.0.0.1]:1/",
    "http://10.0.0.1/",
    "http://192.168.0.1/",
    "http://0.0.0.0:1/",
    METADATA_URL,
    "http://[fd00:ec2::254]/",
  ]) {
    it(`refuses ${url} by default`, async () => {
      await assert.rejects(
        createNetwork({}).request(aRequest(url)),
        endsForGood("address_refused", /may not connect to/),
      );
    });
  }

  it("never asks a server on loopback by default", async () => {
    await using server = await localServer((_request, response) => {
      response.end();
    });

    await assert.rejects(
      createNetwork({}).request(aRequest(`http://localhost:${server.port}/`)),
      endsForGood("address_refused", /localhost, which is (127\.0\.0\.1|::1) \(loopback address\)/),
    );
    assert.deepEqual(server.requestedPaths, []);
  });

  it("refuses a name that resolves to a metadata address, private ones being allowed", async () => {
    const resolveName: ResolveName = (_name, callback) => {
      callback(null, [{ address: "169.254.169.254", family: 4 }]);
    };

    await assert.rejects(
      createNetwork(PRIVATE, resolveName).request(aRequest("http://rebind.example/")),
      endsForGood(
        "address_refused",
        /rebind\.example, which is 169\.254\.169\.254 \(metadata address\)/,
      ),
    );
  });

  it("connects to the permitted addresses of a name and not to its others", async () => {
    await using server = await localServer((_request, response) => {
      response.end("here");
    });
    const resolveName: ResolveName = (_name, callback) => {
      callback(null, [
        { address: "169.254.169.254", family: 4 },
        { address: "127.0.0.1", family: 4 },
      ]);
    };

    const response = await createNetwork(PRIVATE, resolveName).request(
      aRequest(`http://two.example:${server.port}/`),
    );

    assert.equal(response.body.toString(), "here");
  });

  it("judges the answer that it connects to, not one from before", async () => {
    await using server = await localServer((_request, response) => {
      response.setHeader("connection", "close").end();
    });
    const answers = ["127.0.0.1", "169.254.169.254"];
    const resolveName: ResolveName = (_name, callback) => {
      callback(null, [{ address: answers.shift() ?? "", family: 4 }]);
    };
    const network = createNetwork(PRIVATE, resolveName);
    const url = `http://rebind.example:${server.port}/`;
    await network.request(aRequest(url));

    await assert.rejects(
      network.request(aRequest(url)),
      endsForGood("address_refused", /metadata address/),
    );
  });

  it("reports a name that does not resolve as an error that may be retried", async () => {
    const resolveName: ResolveName = (name, callback) => {
      callback(
        Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: "ENOTFOUND" }),
        [],
      );
    };

    await assert.rejects(
      createNetwork({}, resolveName).request(aRequest("http://nowhere.example/")),
      transient(/ENOTFOUND nowhere\.example/),
    );
  });

  for (const location of [METADATA_URL, "http://[fe80::1]/", "http://0x7f.0.0.2:1/"]) {
    it(`refuses a redirect to ${location}`, async () => {
      await using server = await localServer(redirectTo(location));
      const network = createNetwork({ allowedAddresses: ["127.0.0.1"] });

      const request = network.request(aRequest(server.origin));

      await assert.rejects(request, endsForGood("address_refused", /may not connect to/));
    });
  }

  for (const url of [
    "ftp://example.com/",
    "file:///etc/passwd",
    "data:text/plain,hi",
    "//example.com",
    "example.com",
    "",
    "http://",
    `http://example.com/${"x".repeat(9_000)}`,
    "http://user:password@example.com/",
  ]) {
    it(`refuses ${JSON.stringify(url.slice(0, 40))} as a URL`, async () => {
      await assert.rejects(
        createNetwork({}).request(aRequest(url)),
        endsForGood("url_refused", /^Expected an? .*URL/),
      );
    });
  }
});

describe("createNetwork, redirects", () => {
  it("follows redirects and says where the response came from", async () => {
    await using server = await localServer((request, response) => {
      if (request.url === "/a") redirectTo("b?x=1")(request, response);
      else response.end("arrived");
    });

    const response = await createNetwork(PRIVATE).request(aRequest(`${server.origin}/a`));

    assert.equal(response.url.href, `${server.origin}/b?x=1`);
    assert.equal(response.redirectCount, 1);
  });

  it("gives up after the limit", async () => {
    await using server = await localServer(redirectTo("/again"));

    const request = createNetwork(PRIVATE).request(aRequest(server.origin, { redirectsMax: 2 }));

    await assert.rejects(request, endsForGood("too_many_redirects", /redirects more than 2 times/));
    assert.equal(server.requestedPaths.length, 3);
  });

  it("returns the redirect itself when it may not follow", async () => {
    await using server = await localServer(redirectTo("/b", 301));

    const response = await createNetwork(PRIVATE).request(
      aRequest(server.origin, { redirectsMax: 0 }),
    );

    assert.equal(response.status, 301);
    assert.equal(response.headers["location"], "/b");
  });

  for (const location of ["ftp://example.com/", "file:///etc/passwd", "http://"]) {
    it(`refuses a redirect to ${location}`, async () => {
      await using server = await localServer(redirectTo(location));

      const request = createNetwork(PRIVATE).request(aRequest(server.origin));

      await assert.rejects(
        request,
        endsForGood("url_refused", /^Expected an http or https URL in the redirect of/),
      );
    });
  }

  for (const [status, method] of [
    [301, "GET"],
    [302, "GET"],
    [303, "GET"],
    [307, "POST"],
    [308, "POST"],
  ] as const) {
    it(`turns a redirected POST into ${method} after ${status}`, async () => {
      const seen = Promise.withResolvers<readonly [string | undefined, string]>();
      await using server = await localServer((request, response) => {
        if (request.url === "/a") {
          redirectTo("/b", status)(request, response);
          return;
        }
        request.setEncoding("utf8");
        let body = "";
        request.on("data", (chunk: string) => (body += chunk));
        request.on("end", () => {
          response.end();
          seen.resolve([request.method, body]);
        });
      });

      await createNetwork(PRIVATE).request(
        aRequest(`${server.origin}/a`, { method: "POST", body: Buffer.from("payload") }),
      );

      assert.deepEqual(await seen.promise, [method, method === "POST" ? "payload" : ""]);
    });
  }

  it("keeps credentials on the same origin and drops them on another", async () => {
    const seen: (string | undefined)[] = [];
    await using other = await localServer((request, response) => {
      seen.push(request.headers.authorization, request.headers["x-api-key"]?.toString());
      response.end();
    });
    await using server = await localServer((request, response) => {
      seen.push(request.headers.authorization);
      redirectTo(request.url === "/a" ? "/b" : other.origin)(request, response);
    });

    await createNetwork(PRIVATE).request(
      aRequest(`${server.origin}/a`, { headers: { authorization: "secret", "x-api-key": "key" } }),
    );

    assert.deepEqual(seen, ["secret", "secret", undefined, undefined]);
  });

  it("asks before each request and stops when told to", async () => {
    await using server = await localServer(redirectTo("/b"));
    const asked: string[] = [];

    const request = createNetwork(PRIVATE).request(
      aRequest(`${server.origin}/a`, {
        beforeHop: (url) => {
          asked.push(url.pathname);
          return url.pathname === "/b" ? Promise.reject(new Error("stop")) : Promise.resolve();
        },
      }),
    );

    await assert.rejects(request, { message: "stop" });
    assert.deepEqual(asked, ["/a", "/b"]);
    assert.deepEqual(server.requestedPaths, ["/a"]);
  });
});
