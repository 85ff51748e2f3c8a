import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { readConfig, settingDocs, type Config } from "./config.ts";

type Bounds = readonly [name: string, least: number, most: number, (config: Config) => number];

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

  for (const [name, least, most, setting] of [
    ["BATON_HTTP_PORT", 0, 65_535, (config) => config.httpPort],
    ["BATON_GRPC_PORT", 0, 65_535, (config) => config.grpcPort],
    ["BATON_DATABASE_CONNECTIONS", 4, 500, (config) => config.databaseConnections],
    ["BATON_PAYLOAD_BYTES_MAX", 1_024, 16 * 1024 * 1024, (config) => config.payloadBytesMax],
    ["BATON_IDEMPOTENCY_MS", 60_000, 365 * 86_400_000, (config) => config.idempotencyMs],
    ["BATON_RETENTION_FINISHED_DAYS", 1, 3_650, (config) => config.retention.finishedDays],
    ["BATON_RETENTION_DEAD_DAYS", 1, 3_650, (config) => config.retention.deadDays],
  ] as const satisfies readonly Bounds[]) {
    describe(name, () => {
      it(`takes whole numbers from ${least} to ${most}`, () => {
        for (const value of [least, most])
          assert.equal(setting(readConfig({ [name]: String(value) })), value);
      });

      for (const value of [
        String(least - 1),
        String(most + 1),
        `${least}.5`,
        " ",
        `0x${most.toString(16)}`,
        "1e3",
        "many",
        "9".repeat(400),
      ]) {
        it(`refuses ${JSON.stringify(value.slice(0, 20))}, saying what it takes and what came`, () => {
          assert.throws(() => readConfig({ [name]: value }), {
            code: "invalid_config",
            message:
              `Settings are wrong. ${name}: must be a whole number from ${least} to ${most}; ` +
              `received ${JSON.stringify(value)}`,
          });
        });
      }
    });
  }

  for (const [name, value, rule] of [
    [
      "DATABASE_URL",
      "localhost:5432",
      /^.*DATABASE_URL: must begin with postgres:\/\/ or postgresql:\/\/$/,
    ],
    [
      "BATON_ALLOW_UNAUTHENTICATED",
      "yes",
      /BATON_ALLOW_UNAUTHENTICATED: .*"true"\|"false".*received "yes"/,
    ],
    ["BATON_LOG_LEVEL", "loud", /BATON_LOG_LEVEL: .*"trace".*"silent".*received "loud"/],
    ["BATON_SERVER_NAME", "n".repeat(129), /BATON_SERVER_NAME: .*128.*received "nnn/],
  ] as const) {
    it(`refuses a ${name} of a wrong form`, () => {
      assert.throws(() => readConfig({ [name]: value }), { code: "invalid_config", message: rule });
    });
  }

  it("takes what it is told, and has defaults for the rest", () => {
    const defaults = readConfig({});
    const told = readConfig({
      DATABASE_URL: "postgresql://u@h/d",
      BATON_DATA_DIRECTORY: "/var/lib/baton",
      BATON_SERVER_NAME: "n".repeat(128),
      BATON_LOG_LEVEL: "silent",
    });

    assert.deepEqual(
      [told.databaseUrl, told.dataDirectory, told.serverName, told.logLevel],
      ["postgresql://u@h/d", "/var/lib/baton", "n".repeat(128), "silent"],
    );
    assert.deepEqual(
      [defaults.databaseUrl, defaults.dataDirectory, defaults.httpPort, defaults.grpcPort],
      [undefined, undefined, 8080, 9000],
    );
    assert.deepEqual(
      [defaults.databaseConnections, defaults.payloadBytesMax, defaults.idempotencyMs],
      [12, 1024 * 1024, 86_400_000],
    );
    assert.deepEqual(
      [defaults.retention, defaults.logLevel],
      [{ finishedDays: 7, deadDays: 30 }, "info"],
    );
    assert.match(defaults.serverName, new RegExp(`-${process.pid}$`));
  });

  it("names variables that look like settings and are none, without their values", () => {
    assert.throws(
      () => readConfig({ BATON_HTPP_PORT: "80", BATON_PASSWORD: "secret", BATON_HTTP_PORT: "x" }),
      {
        code: "invalid_config",
        message:
          "Settings are wrong. BATON_HTTP_PORT: must be a whole number from 0 to 65535; " +
          'received "x". BATON_HTPP_PORT: there is no such setting; docs/operations.md lists all. ' +
          "BATON_PASSWORD: there is no such setting; docs/operations.md lists all",
      },
    );
  });

  for (const [name, value] of [
    ["BATON_ADDRESS", "localhost:9000"],
    ["BATON_TASKS_FILES_DIRECTORY", "/srv/files"],
    ["BATON_SERVICE_HOST", "10.0.0.1"],
    ["BATON_SERVICE_PORT_GRPC", "9000"],
    ["BATON_PORT", "tcp://10.0.0.1:9000"],
    ["BATON_PORT_9000_TCP_ADDR", "10.0.0.1"],
    ["OTHER_HTTP_PORT", "x"],
  ] as const) {
    it(`leaves ${name} to whom it is for`, () => {
      assert.equal(readConfig({ [name]: value }).httpPort, 8080);
    });
  }

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
