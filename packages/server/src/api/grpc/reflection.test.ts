import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import {
  JobServiceService,
  QueueServiceService,
  ServerServiceService,
  TaskServiceService,
  WorkerServiceService,
} from "@baton/sdk/contract";
import { asBuffer, type GrpcBench, startGrpc } from "../../../test/grpc.ts";
import { MasterServiceService } from "../../gen/conductor/master.ts";

const FILE_BY_FILENAME = 3;
const FILE_CONTAINING_SYMBOL = 4;
const LIST_SERVICES = 7;
const FILE_DESCRIPTOR_RESPONSE = 4;
const LIST_SERVICES_RESPONSE = 6;
const ERROR_RESPONSE = 7;

const VERSIONS = ["grpc.reflection.v1", "grpc.reflection.v1alpha"];

/** One request of ServerReflectionInfo, whose kind is its field number; resolves to the bytes of one field of the answer. */
async function ask(
  bench: GrpcBench,
  version: string,
  kind: number,
  text: string,
  wanted: number,
): Promise<Uint8Array | undefined> {
  const call = bench.client.makeBidiStreamRequest(
    `/${version}.ServerReflection/ServerReflectionInfo`,
    asBuffer,
    asBuffer,
  );
  call.write(
    Buffer.from(
      new BinaryWriter()
        .uint32((kind << 3) | 2)
        .string(text)
        .finish(),
    ),
  );
  call.end();
  const [answer] = await call.toArray();
  assert.ok(answer !== undefined);
  return fieldsOf(answer, wanted)[0];
}

/** The length-delimited fields of a message that have a number. */
function fieldsOf(bytes: Uint8Array, wanted: number): readonly Uint8Array[] {
  const reader = new BinaryReader(bytes);
  const found: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === wanted) found.push(reader.bytes());
    else reader.skip(wireType, number);
  }
  return found;
}

/** The files in the order that a registry wants; one that is missing is told by the registry. */
function dependenciesFirst(files: readonly FileDescriptorProto[]): FileDescriptorProto[] {
  const ordered = new Set<FileDescriptorProto>();
  const add = (file: FileDescriptorProto): void => {
    for (const name of file.dependency) files.filter((other) => other.name === name).forEach(add);
    ordered.add(file);
  };
  files.forEach(add);
  return [...ordered];
}

function textOf(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString();
}

describe("gRPC reflection", () => {
  for (const version of VERSIONS) {
    it(`lists every service of the server by ${version}`, async () => {
      await using bench = await startGrpc();

      const list = await ask(bench, version, LIST_SERVICES, "*", LIST_SERVICES_RESPONSE);

      const names = fieldsOf(list ?? Buffer.alloc(0), 1).map((entry) =>
        textOf(fieldsOf(entry, 1)[0]),
      );
      assert.deepEqual(names.toSorted(), [
        "baton.v1.JobService",
        "baton.v1.QueueService",
        "baton.v1.ServerService",
        "baton.v1.TaskService",
        "baton.v1.WorkerService",
        "grpc.health.v1.Health",
        "proto.MasterService",
      ]);
    });
  }

  const services = [
    ["baton.v1.JobService", JobServiceService],
    ["baton.v1.QueueService", QueueServiceService],
    ["baton.v1.TaskService", TaskServiceService],
    ["baton.v1.WorkerService", WorkerServiceService],
    ["baton.v1.ServerService", ServerServiceService],
    ["proto.MasterService", MasterServiceService],
  ] as const;
  for (const [name, definition] of services) {
    it(`describes ${name} completely, with all that it refers to`, async () => {
      await using bench = await startGrpc();

      const response = await ask(
        bench,
        "grpc.reflection.v1",
        FILE_CONTAINING_SYMBOL,
        name,
        FILE_DESCRIPTOR_RESPONSE,
      );

      const files = fieldsOf(response ?? Buffer.alloc(0), 1).map((bytes) =>
        fromBinary(FileDescriptorProtoSchema, bytes),
      );
      const registry = createFileRegistry(
        create(FileDescriptorSetSchema, { file: dependenciesFirst(files) }),
      );
      const service = registry.getService(name);
      assert.deepEqual(
        service?.methods.map((method) => `/${name}/${method.name}`).toSorted(),
        Object.values(definition)
          .map(({ path }): string => path)
          .toSorted(),
      );
    });
  }

  it("has a file by its name", async () => {
    await using bench = await startGrpc();

    const response = await ask(
      bench,
      "grpc.reflection.v1",
      FILE_BY_FILENAME,
      "baton/v1/job.proto",
      FILE_DESCRIPTOR_RESPONSE,
    );

    assert.ok(fieldsOf(response ?? Buffer.alloc(0), 1).length >= 2);
  });

  for (const symbol of ["no.such.Thing", "__proto__", "constructor", ""]) {
    it(`survives the symbol ${JSON.stringify(symbol)}`, async () => {
      await using bench = await startGrpc();

      await ask(bench, "grpc.reflection.v1", FILE_CONTAINING_SYMBOL, symbol, ERROR_RESPONSE);
      const list = await ask(
        bench,
        "grpc.reflection.v1",
        LIST_SERVICES,
        "",
        LIST_SERVICES_RESPONSE,
      );

      assert.ok(list !== undefined);
    });
  }
});
