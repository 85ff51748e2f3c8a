import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { crc32, deflateSync } from "node:zlib";

import sharp from "sharp";

import { exerciseTask, run } from "../test/exercise-task.ts";
import { localServer } from "../test/local-server.ts";
import { endsForGood, transient } from "../test/refusals.ts";
import { temporaryFolder } from "../test/temporary-folder.ts";
import { testContext } from "../test/task-context.ts";
import type { AllowedFolder } from "./files/allowed-folder.ts";
import { imageProcessingTask } from "./image-processing.ts";
import { createNetwork } from "./network/network.ts";

/** 400 × 200, left half red, right half transparent. */
const FLAG = await sharp({
  create: { width: 200, height: 200, channels: 4, background: "#ff0000" },
})
  .extend({ right: 200, background: "#00000000" })
  .png()
  .toBuffer();

function folder(name: string, directory: string | undefined): AllowedFolder {
  return { name, setting: `${name.toUpperCase()}_SETTING`, directory };
}

/** Without folders; shared, because each one has a process of its own. */
const TASK = aTask();

function aTask(directory?: string, network = createNetwork({ allowPrivateAddresses: true })) {
  return imageProcessingTask({
    network,
    files: folder("files", directory),
    output: folder("output", directory),
  });
}

/** A square image that no format can make small. */
function noise(side: number) {
  return sharp(randomBytes(side * side * 3), { raw: { width: side, height: side, channels: 3 } });
}

const inline = (bytes: Buffer) => ({ base64: bytes.toString("base64") });

interface Result {
  readonly source: { readonly width: number; readonly height: number };
  readonly output: { readonly width: number; readonly height: number; readonly base64: string };
}

async function change(bytes: Buffer, input: object): Promise<Result> {
  return (await run(TASK, { source: inline(bytes), ...input })) as Result;
}

/** A PNG of a few bytes that says it is as large as told. */
function pngThatClaims(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const chunks = [
    ["IHDR", header],
    ["IDAT", deflateSync(Buffer.alloc(1_000))],
    ["IEND", Buffer.alloc(0)],
  ] as const;
  const parts = chunks.map(([type, data]) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  });
  return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), ...parts]);
}

exerciseTask("image_processing", async () => {
  const asked = Promise.withResolvers<void>();
  const server = await localServer(() => asked.resolve());
  const tree = await temporaryFolder();
  await writeFile(join(tree.path, "flag.png"), FLAG);
  await writeFile(join(tree.path, "text.png"), "no image");
  const source = { file: "flag.png" };
  return {
    task: aTask(tree.path),
    good: {
      metadata: { operation: "metadata", source },
      "a resize": { operation: "resize", source, width: 10 },
      "a conversion": { operation: "convert", source, format: "webp", quality: 50 },
      "a thumbnail": { operation: "thumbnail", source },
      "an output file": { operation: "thumbnail", source, output: { file: "out/small.jpg" } },
    },
    bad: {
      nothing: {},
      "no source": { operation: "metadata" },
      "an empty source": { operation: "metadata", source: {} },
      "two sources": { operation: "metadata", source: { file: "flag.png", url: "http://a.b/" } },
      "a resize without a size": { operation: "resize", source },
      "a resize to nothing": { operation: "resize", source, width: 0 },
      "a side over the limit": { operation: "resize", source, width: 16_384 },
      "a conversion without a format": { operation: "convert", source },
      "a conversion by an unknown extension": {
        operation: "convert",
        source,
        output: { file: "a.bmp" },
      },
      "an unknown format": { operation: "convert", source, format: "svg" },
      "a quality out of range": { operation: "convert", source, format: "jpeg", quality: 101 },
      "a colour that is none": { operation: "thumbnail", source, background: "red" },
      "no base64": { operation: "metadata", source: { base64: "***" } },
      "empty base64": { operation: "metadata", source: { base64: "" } },
      "a file that is no image": { operation: "metadata", source: { file: "text.png" } },
      "a missing file": { operation: "metadata", source: { file: "none.png" } },
      "a way out of the files folder": { operation: "metadata", source: { file: "../flag.png" } },
      "a way out of the output folder": {
        operation: "thumbnail",
        source,
        output: { file: "../x.png" },
      },
      "a metadata address": { operation: "metadata", source: { url: "http://169.254.169.254/" } },
    },
    long: {
      input: { operation: "metadata", source: { url: server.origin } },
      underWay: asked.promise,
    },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await tree[Symbol.asyncDispose]();
    },
  };
});

describe("image_processing, metadata", () => {
  it("describes an image", async () => {
    const result = await run(TASK, { operation: "metadata", source: inline(FLAG) });

    assert.deepEqual(result, {
      operation: "metadata",
      source: {
        format: "png",
        width: 400,
        height: 200,
        bytes: FLAG.length,
        space: "srgb",
        channels: 4,
        depth: "uchar",
        density: null,
        hasAlpha: true,
        hasProfile: false,
        isProgressive: false,
        orientation: 1,
        pages: 1,
      },
    });
  });

  it("gives the size of a turned photograph as it is seen", async () => {
    const turned = await sharp(FLAG).flatten().withMetadata({ orientation: 6 }).jpeg().toBuffer();

    const result = await run(TASK, { operation: "metadata", source: inline(turned) });

    assert.partialDeepStrictEqual(result, { source: { width: 200, height: 400, orientation: 6 } });
  });
});

describe("image_processing, resize and thumbnail", () => {
  const cases: readonly (readonly [string, object, number, number])[] = [
    ["a width", { width: 100 }, 100, 50],
    ["a height", { height: 100 }, 200, 100],
    ["inside", { width: 100, height: 100 }, 100, 50],
    ["outside", { width: 100, height: 100, fit: "outside" }, 200, 100],
    ["cover", { width: 100, height: 100, fit: "cover" }, 100, 100],
    ["contain", { width: 100, height: 100, fit: "contain" }, 100, 100],
    ["fill", { width: 100, height: 30, fit: "fill" }, 100, 30],
    ["a larger width", { width: 800 }, 400, 200],
    ["a larger width, enlarging", { width: 800, enlarge: true }, 800, 400],
  ];
  for (const [what, input, width, height] of cases) {
    it(`makes 400 × 200 into ${width} × ${height} by ${what}`, async () => {
      const { output } = await change(FLAG, { operation: "resize", ...input });

      const { info } = await sharp(Buffer.from(output.base64, "base64")).toBuffer({
        resolveWithObject: true,
      });
      assert.deepEqual([output.width, output.height], [width, height]);
      assert.deepEqual([info.width, info.height], [width, height]);
    });
  }

  it("makes a square thumbnail of 256 pixels by default", async () => {
    const large = await sharp(FLAG).resize(1_000).png().toBuffer();

    const { output } = await change(large, { operation: "thumbnail" });

    assert.deepEqual([output.width, output.height], [256, 256]);
  });

  it("turns a photograph upright", async () => {
    const turned = await sharp(FLAG).flatten().withMetadata({ orientation: 6 }).jpeg().toBuffer();

    const { output } = await change(turned, { operation: "resize", width: 100 });

    assert.deepEqual([output.width, output.height], [100, 200]);
  });

  it("refuses a result that would be enormous because the source is a line", async () => {
    const line = await sharp({
      create: { width: 1, height: 2_000, channels: 3, background: "#fff" },
    })
      .png()
      .toBuffer();

    await assert.rejects(
      change(line, { operation: "resize", width: 100, enlarge: true }),
      endsForGood("image_too_large", /would have 100 × 200000 pixels; at most 16383 a side/),
    );
  });

  it("refuses a result of too many pixels", async () => {
    await assert.rejects(
      change(FLAG, {
        operation: "resize",
        width: 16_000,
        height: 16_000,
        fit: "fill",
        enlarge: true,
      }),
      endsForGood("image_too_large", /16000 × 16000 pixels; .* 64000000 in all/),
    );
  });
});

describe("image_processing, convert", () => {
  for (const format of ["jpeg", "png", "webp", "avif", "gif", "tiff"] as const) {
    it(`writes ${format}, and reads it again`, async () => {
      const { output } = await change(FLAG, { operation: "convert", format });

      const bytes = Buffer.from(output.base64, "base64");
      const again = await run(TASK, { operation: "metadata", source: inline(bytes) });
      assert.partialDeepStrictEqual(again, { source: { format, width: 400, height: 200 } });
    });
  }

  it("puts the background behind what is transparent where the format has no transparency", async () => {
    const { output } = await change(FLAG, {
      operation: "convert",
      format: "jpeg",
      background: "#00ff00",
    });

    const { data } = await sharp(Buffer.from(output.base64, "base64"))
      .extract({ left: 300, top: 100, width: 1, height: 1 })
      .raw()
      .toBuffer({ resolveWithObject: true });
    assert.deepEqual(
      [...data].map((channel) => Math.round(channel / 255)),
      [0, 1, 0],
    );
  });
});

describe("image_processing, sources and outputs", () => {
  it("fetches an image", async () => {
    await using server = await localServer((_request, response) => {
      response.end(FLAG);
    });

    const result = await run(TASK, { operation: "metadata", source: { url: server.origin } });

    assert.partialDeepStrictEqual(result, { source: { format: "png", width: 400 } });
  });

  it("gives up when there is no image at the URL, and tries again when the server is in trouble", async () => {
    await using server = await localServer((request, response) => {
      response.writeHead(request.url === "/none" ? 404 : 503).end();
    });
    const ask = (path: string) =>
      run(TASK, { operation: "metadata", source: { url: server.origin + path } });

    await assert.rejects(ask("/none"), endsForGood("http_status", /answered 404/));
    await assert.rejects(ask("/busy"), transient(/answered 503/));
  });

  it("does not fetch from the worker's own machine unless allowed", async () => {
    await using server = await localServer((_request, response) => {
      response.end(FLAG);
    });

    await assert.rejects(
      run(aTask(undefined, createNetwork({})), {
        operation: "metadata",
        source: { url: server.origin },
      }),
      endsForGood("address_refused", /loopback address/),
    );
    assert.deepEqual(server.requestedPaths, []);
  });

  it("writes a file in the format of its name", async () => {
    await using tree = await temporaryFolder();
    await writeFile(join(tree.path, "flag.png"), FLAG);
    const context = testContext();

    const result = await run(
      aTask(tree.path),
      {
        operation: "thumbnail",
        source: { file: "flag.png" },
        size: 32,
        output: { file: "thumbs/flag.webp" },
      },
      context,
    );

    const written = await readFile(join(tree.path, "thumbs/flag.webp"));
    assert.equal((await sharp(written).metadata()).format, "webp");
    assert.partialDeepStrictEqual(result, {
      output: {
        format: "webp",
        width: 32,
        height: 32,
        bytes: written.length,
        file: "thumbs/flag.webp",
      },
    });
    assert.deepEqual(context.progress, [
      { step: "loaded", bytes: FLAG.length },
      { step: "processed", bytes: written.length },
    ]);
  });

  it("refuses a symbolic link out of the files folder", async () => {
    await using tree = await temporaryFolder();
    await using outside = await temporaryFolder();
    await writeFile(join(outside.path, "flag.png"), FLAG);
    await symlink(join(outside.path, "flag.png"), join(tree.path, "link.png"));

    await assert.rejects(
      run(aTask(tree.path), { operation: "metadata", source: { file: "link.png" } }),
      endsForGood("path_refused", /leads out/),
    );
  });

  it("names the settings of folders that are not there", async () => {
    await assert.rejects(
      run(TASK, { operation: "metadata", source: { file: "a.png" } }),
      endsForGood("folder_not_configured", /FILES_SETTING/),
    );
    await assert.rejects(
      change(FLAG, { operation: "thumbnail", output: { file: "a.png" } }),
      endsForGood("folder_not_configured", /OUTPUT_SETTING/),
    );
  });

  it("refuses a result that does not fit into a message, and names the way out", async () => {
    const bytes = await noise(500).png().toBuffer();

    await assert.rejects(
      change(bytes, { operation: "convert", format: "png" }),
      endsForGood("image_too_large", /at most 716800\. Name an output\.file/),
    );
  });
});

describe("image_processing, hostile images", () => {
  it("refuses a small file that declares a huge image", async () => {
    const bomb = pngThatClaims(50_000, 50_000);

    await assert.rejects(
      run(TASK, { operation: "thumbnail", source: inline(bomb) }),
      endsForGood("image_too_large", /at most 64000000 pixels; received a larger one/),
    );
    assert.ok(bomb.length < 200);
  });

  it("refuses an image that ends before its end", async () => {
    const photo = await sharp(FLAG).flatten().jpeg().toBuffer();

    await assert.rejects(
      run(TASK, {
        operation: "thumbnail",
        source: inline(photo.subarray(0, photo.length - 200)),
      }),
      endsForGood("image_unreadable", /^The image cannot be processed: /),
    );
  });

  for (const [what, text] of [
    ["SVG", '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'],
    ["a page", "<!doctype html><p>not found</p>"],
    ["a PDF", "%PDF-1.7\n1 0 obj <<>> endobj"],
  ] as const) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(
        run(TASK, { operation: "metadata", source: inline(Buffer.from(text)) }),
        endsForGood("image_unreadable", /^(Expected an image in one of jpeg|The image cannot be)/),
      );
    });
  }

  // libvips needs minutes for this one, and does not stop by itself.
  const expensive = async () => ({
    operation: "convert",
    format: "avif",
    source: inline(await noise(2_000).jpeg({ quality: 30 }).toBuffer()),
  });

  it("ends work that takes longer than allowed, and works on afterwards", async () => {
    const input = await expensive();

    await assert.rejects(
      run(TASK, { ...input, timeoutMs: 300 }),
      transient(/^The image was not processed: it took longer than 300 ms\.$/),
    );
    const result = await run(TASK, { operation: "metadata", source: inline(FLAG) });

    assert.partialDeepStrictEqual(result, { source: { width: 400 } });
  });

  it("ends work in the middle when the job is cancelled", async () => {
    const controller = new AbortController();
    const context = testContext({ signal: controller.signal });
    const reason = new Error("cancelled by a test");
    const input = await expensive();

    const ended = assert.rejects(run(TASK, input, context), reason);
    await context.underWay;
    const abortedAtMs = performance.now();
    controller.abort(reason);
    await ended;

    assert.ok(performance.now() - abortedAtMs < 5_000);
  });
});
