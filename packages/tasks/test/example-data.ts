/**
 * Makes examples/data: `node packages/tasks/test/example-data.ts`. The same every time, so that results in the
 * documentation and in tests stay true.
 */
import { writeFile } from "node:fs/promises";

import sharp from "sharp";

export const EXAMPLE_DATA = new URL("../../../examples/data/", import.meta.url);

const ROWS = 480;
const SEED = 20_260_101;
const FIRST_DAY_MS = Date.UTC(2026, 0, 1);
const DAY_MS = 24 * 60 * 60 * 1_000;
const DAYS = 181;

const PRODUCTS = [
  ["Desk lamp Heron", "lighting", 89],
  ["Wall lamp Wren", "lighting", 64.5],
  ["Ceiling lamp Kite", "lighting", 149],
  ["Oak shelf", "furniture", 129.9],
  ["Folding chair", "furniture", 39.95],
  ["Wool blanket", "textiles", 74],
  ["Linen curtain", "textiles", 52.25],
] as const;
const REGIONS = ["north", "south", "east", "west"] as const;
const CHANNELS = ["shop", "web", "web", "phone"] as const;

/** The text of sales.csv. */
export function salesCsv(): string {
  const random = mulberry32(SEED);
  const lines = [
    "order_id,ordered_on,region,channel,product,category,quantity,unit_price,discount",
  ];
  for (let row = 0; row < ROWS; row += 1) {
    // More orders towards the end, as in a business that grows.
    const day = Math.floor(DAYS * Math.sqrt((row + random()) / ROWS));
    const orderedOn = new Date(FIRST_DAY_MS + day * DAY_MS).toISOString().slice(0, 10);
    const [product, category, price] = pick(PRODUCTS, random());
    const quantity = 1 + Math.floor(random() ** 3 * 12);
    // Every twentieth or so was not noted down.
    const discount = random() < 0.05 ? "" : quantity >= 6 ? "0.10" : "0.00";
    const region = pick(REGIONS, random() ** 1.3);
    const channel = pick(CHANNELS, random());
    const id = `SO-${String(10_000 + row)}`;
    const cells = [id, orderedOn, region, channel, product, category, quantity, price.toFixed(2)];
    lines.push([...cells, discount].join(","));
  }
  return `${lines.join("\n")}\n`;
}

/** A hill at sunset, 640 × 400. */
async function photo(): Promise<Buffer> {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="400">
    <defs><linearGradient id="sky" x1="0" y1="0" x2="0" y2="1">
      <stop offset="0" stop-color="#1d2b53"/><stop offset="0.6" stop-color="#c8553d"/><stop offset="1" stop-color="#ffd5a5"/>
    </linearGradient></defs>
    <rect width="640" height="400" fill="url(#sky)"/>
    <circle cx="440" cy="235" r="42" fill="#fff1cf"/>
    <path d="M0 290 Q160 200 330 285 T640 250 V400 H0 Z" fill="#3b2a3f"/>
    <path d="M0 340 Q220 270 420 335 T640 320 V400 H0 Z" fill="#201628"/>
  </svg>`;
  return sharp(Buffer.from(svg)).png({ palette: true, colours: 128, effort: 10 }).toBuffer();
}

function pick<Item>(items: readonly Item[], random: number): Item {
  const item = items[Math.floor(random * items.length)];
  if (item === undefined) throw new RangeError(`expected a number in [0, 1), got ${random}`);
  return item;
}

/** Tommy Ettinger's Mulberry32: numbers in [0, 1), the same for the same seed. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

if (import.meta.main) {
  await writeFile(new URL("sales.csv", EXAMPLE_DATA), salesCsv());
  await writeFile(new URL("photo.png", EXAMPLE_DATA), await photo());
}
