import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { sheetText, tableText } from "./table.ts";

describe("tableText", () => {
  const columns = [
    { head: "NAME", cell: ({ name }: { readonly name: string }) => name },
    {
      head: "N",
      cell: ({ name }: { readonly name: string }) => String(name.length),
      align: "right",
    },
    { head: "END", cell: () => "x" },
  ] as const;

  it("aligns columns and cuts nothing where nobody looks", () => {
    const long = "y".repeat(200);

    assert.equal(
      tableText(columns, [{ name: "a" }, { name: long }]),
      [`NAME${" ".repeat(196)}    N  END`, `a${" ".repeat(199)}    1  x`, `${long}  200  x`].join(
        "\n",
      ),
    );
  });

  it("keeps a row on its line, whatever stands in it", () => {
    const text = tableText(columns, [{ name: "a\nb\u001b[2J" }]);

    assert.equal(text.split("\n")[1], "a\\nb\\x1b[2J  7  x");
  });
});

describe("sheetText", () => {
  it("indents the lines of a value and leaves out what is absent", () => {
    assert.equal(
      sheetText([
        ["job", "1"],
        ["worker", undefined],
        ["error", "a\nb"],
      ]),
      "job    1\nerror  a\n       b",
    );
  });
});
