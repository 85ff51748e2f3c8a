import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { figureTables, medianOf, shown, type Sample } from "./figures.ts";

const SPEED = { name: "throughput", unit: "jobs/s" };

function sample(row: string, round: number, value: number): Sample {
  return { scenario: "end-to-end", figure: SPEED, row, durability: "fsync", round, value };
}

describe("figures", () => {
  it("a row's figure is the median of its rounds", () => {
    const samples = [sample("Baton", 1, 10), sample("Baton", 2, 30), sample("Baton", 3, 11)];

    const value = medianOf(samples, {
      scenario: "end-to-end",
      figure: "throughput",
      row: "Baton",
    });

    assert.equal(value, 11);
  });

  it("a row that was not measured has no figure", () => {
    const value = medianOf([sample("Baton", 1, 10)], {
      scenario: "end-to-end",
      figure: "throughput",
      row: "BullMQ",
    });

    assert.equal(value, undefined);
  });

  it("a table shows median, spread, and Baton's ratio to each other row", () => {
    const text = figureTables([
      sample("Baton", 1, 30_000),
      sample("Peer", 1, 9_000),
      sample("Baton", 2, 20_000),
      sample("Peer", 2, 11_000),
    ]);

    const rows = text.split("\n").map((line) => line.split("│").map((cell) => cell.trim()));
    const rowOf = (name: string) => rows.find((cells) => cells[2] === name)?.slice(3, 8);
    assert.equal(rows[0]?.[0], "end-to-end");
    assert.equal(rows[4]?.[1], "throughput, jobs/s");
    assert.deepEqual(rowOf("Baton"), ["25,000", "20,000 – 30,000", "2", "", "fsync"]);
    assert.deepEqual(rowOf("Peer"), ["10,000", "9,000 – 11,000", "2", "2.5 ×", "fsync"]);
  });

  it("each figure is named once, in the row of its first system", () => {
    const other = {
      ...sample("Baton", 1, 5),
      figure: { ...SPEED, name: "CPU", isLessBetter: true },
    };

    const text = figureTables([sample("Baton", 1, 10), sample("Peer", 1, 9), other]);

    const titles = text.split("\n").flatMap((line) => line.split("│")[1]?.trim() ?? []);
    assert.deepEqual(titles, ["figure", "throughput, jobs/s", "", "CPU, jobs/s (less is better)"]);
  });

  it("numbers are shown with the digits that matter", () => {
    assert.deepEqual([12_345.6, 100, 12.345, 0.12345, 0, -2.56789].map(shown), [
      "12,346",
      "100",
      "12.3",
      "0.123",
      "0",
      "-2.57",
    ]);
  });
});
