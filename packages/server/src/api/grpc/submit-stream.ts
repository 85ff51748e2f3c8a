/**
 * A stream of batches. Each batch is submitted as soon as it has arrived whole, a few at a time; while these wait for
 * their commit nothing more is taken from the stream, and the transport's flow control holds the caller back. When the
 * stream is cut, what had arrived whole is submitted all the same.
 */
import type { ServerReadableStream } from "@grpc/grpc-js";
import type { SubmitManyRequest, SubmitStreamResponse } from "@baton/sdk/contract";
import { REFUSED_BATCHES_MAX } from "../../domain/limits.ts";
import type { Operations } from "../operations.ts";
import type { Decoded } from "./decode.ts";
import { asciiJson, boundDetails, boundMessage } from "./error-bounds.ts";
import { type Logger, publicError } from "./error-status.ts";
import { jobSpecsFromMessages } from "./job-spec-message.ts";
import { messageOf } from "./methods.ts";

/** Batches between arrival and commit: enough that the database never waits for the network. */
const IN_FLIGHT_MAX = 4;
/** Details of one refused batch. All of them stay below 4 MiB, the message that gRPC clients take by default. */
const DETAILS_BYTES_MAX = 32 * 1024;
const MESSAGE_BYTES_MAX = 4 * 1024;
const ITEMS_MAX = 100;

type BatchStream = ServerReadableStream<Decoded<SubmitManyRequest>, Buffer>;

export interface SubmitStreamOptions {
  readonly operations: Operations;
  readonly payloadBytesMax: number;
  readonly path: string;
  readonly logger: Logger;
}

/** Takes the whole stream. Resolves when it has ended or was cut and every batch has its answer; never rejects. */
export function submitStream(
  call: BatchStream,
  options: SubmitStreamOptions,
): Promise<SubmitStreamResponse> {
  const { promise, resolve } = Promise.withResolvers<SubmitStreamResponse>();
  const answer: SubmitStreamResponse = {
    acceptedCount: 0,
    duplicateCount: 0,
    refused: [],
    refusedBatchCount: 0,
  };
  const waiting: Decoded<SubmitManyRequest>[] = [];
  let nextIndex = 0;
  let inFlight = 0;
  let isOver = false;

  const submitNext = async (batch: Decoded<SubmitManyRequest>): Promise<void> => {
    await submitBatch(batch, nextIndex++, answer, options);
    inFlight -= 1;
    advance();
  };
  const advance = (): void => {
    while (inFlight < IN_FLIGHT_MAX) {
      const batch = waiting.shift();
      if (batch === undefined) break;
      inFlight += 1;
      void submitNext(batch);
    }
    if (isOver) {
      if (inFlight > 0) return;
      answer.refused.sort((left, right) => left.index - right.index);
      resolve(answer);
    } else if (inFlight < IN_FLIGHT_MAX) {
      call.resume();
    } else {
      call.pause();
    }
  };

  call.on("data", (batch: Decoded<SubmitManyRequest>) => {
    waiting.push(batch);
    advance();
  });
  call.once("end", () => {
    isOver = true;
    advance();
  });
  call.once("cancelled", () => {
    isOver = true;
    // The stream is destroyed next and would drop what it holds. Reading hands it to the listener above.
    let rest: unknown;
    do rest = call.read();
    while (rest !== null);
    advance();
  });
  return promise;
}

async function submitBatch(
  batch: Decoded<SubmitManyRequest>,
  index: number,
  answer: SubmitStreamResponse,
  options: SubmitStreamOptions,
): Promise<void> {
  const { operations, payloadBytesMax, path, logger } = options;
  try {
    const { jobs } = messageOf(batch, path);
    const { specs, unread } = jobSpecsFromMessages(jobs, payloadBytesMax);
    const results = await operations.submit(specs, unread);
    answer.acceptedCount += results.length;
    answer.duplicateCount += results.filter((result) => result.isDuplicate).length;
  } catch (error) {
    const { code, message, details } = publicError(error, path, logger);
    answer.refusedBatchCount += 1;
    if (answer.refused.length >= REFUSED_BATCHES_MAX) return;
    answer.refused.push({
      index,
      code,
      message: boundMessage(message, MESSAGE_BYTES_MAX),
      details: Buffer.from(asciiJson(boundDetails(details, DETAILS_BYTES_MAX, ITEMS_MAX))),
    });
  }
}
