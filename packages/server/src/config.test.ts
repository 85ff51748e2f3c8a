import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { readConfig, settingDocs } from "./config.ts";

describe("readConfig", () => {
  it("listens on loopback only unless told otherwise", () => {
    assert.equal(readConfig({}).host, "127.0.0.1");
  });

  for (const host of ["localhost", "127.0.0.1", "127.8.9.1", "::1"]) {
    it(`takes the loopback address ${host}`, () => {
      assert.equal(readConfig({ BATON_HOST: host }).host, host);
    });
  }

  for (const host of ["0.0.0.0", "::", "192.168.1.5", "127.example.com", "baton.example.com"]) {
    it(`refuses ${host}, because there is no authentication`, () => {
      assert.throws(() => readConfig({ BATON_HOST: host }), {
        code: "invalid_config",
        message: /BATON_HOST: expected a loopback address .* BATON_ALLOW_UNAUTHENTICATED=true/,
        details: { host },
      });
    });
  }

  it("takes any address when unauthenticated access is allowed", () => {
    const config = readConfig({ BATON_HOST: "0.0.0.0", BATON_ALLOW_UNAUTHENTICATED: "true" });

    assert.equal(config.host, "0.0.0.0");
  });

  it("names every wrong setting and what was received", () => {
    const environment = { BATON_HTTP_PORT: "http", BATON_LOG_LEVEL: "loud" };

    assert.throws(() => readConfig(environment), {
      code: "invalid_config",
      message: /BATON_HTTP_PORT: .*received "http".*BATON_LOG_LEVEL: .*received "loud"/,
    });
  });

  it("does not repeat a connection string, which carries a password", () => {
    assert.throws(
      () => readConfig({ DATABASE_URL: "mysql://u:secret@h/d" }),
      (error) => error instanceof Error && !error.message.includes("secret"),
    );
  });

  it("counts an empty variable as absent", () => {
    assert.equal(readConfig({ BATON_HTTP_PORT: "" }).httpPort, 8080);
  });
});

describe("settingDocs", () => {
  it("describes every setting", () => {
    const undescribed = settingDocs().filter(({ description }) => description === "");

    assert.deepEqual(undescribed, []);
  });
});
