/**
 * QR codes (ISO/IEC 18004) of text in byte mode at error correction level L: all that an invite link needs, at a third of
 * a library's size. Modules are numbered [row][column]; true is dark.
 */

/** Correction bytes in each block, and number of blocks, for versions 1 to 40 at level L. */
const CORRECTION = [
  7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28, 28, 28, 30, 30, 26, 28, 30, 30, 30, 30,
  30, 30, 30, 30, 30, 30, 30, 30, 30, 30,
];
const BLOCKS = [
  1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8, 8, 9, 9, 10, 12, 12, 12, 13, 14, 15, 16, 17, 18, 19, 19,
  20, 21, 22, 24, 25,
];
const MASKS: ((x: number, y: number) => number)[] = [
  (x, y) => (x + y) % 2,
  (_, y) => y % 2,
  (x) => x % 3,
  (x, y) => (x + y) % 3,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2,
  (x, y) => ((x * y) % 2) + ((x * y) % 3),
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2,
];

/** The smallest code that holds the text, or null if none does (at most 2,953 bytes). */
export function qr(text: string): boolean[][] | null {
  const bytes = new TextEncoder().encode(text);
  for (let version = 1; version <= 40; version++) {
    const data = capacity(version);
    const lengthBits = version < 10 ? 8 : 16;
    if (4 + lengthBits + bytes.length * 8 <= data * 8) return draw(version, interleave(version, pack(bytes, lengthBits, data)));
  }
  return null;
}

/** Modules left for data and correction, in bits. */
function rawBits(version: number): number {
  let bits = (16 * version + 128) * version + 64;
  if (version >= 2) {
    const marks = Math.floor(version / 7) + 2;
    bits -= (25 * marks - 10) * marks - 55;
    if (version >= 7) bits -= 36;
  }
  return bits;
}

const at = (table: ArrayLike<number>, i: number) => table[i] ?? 0;

function capacity(version: number): number {
  return (rawBits(version) >> 3) - at(CORRECTION, version - 1) * at(BLOCKS, version - 1);
}

/** Mode, length and bytes, filled up with the two bytes that the standard says. */
function pack(bytes: Uint8Array, lengthBits: number, size: number): Uint8Array {
  let bits = '0100' + bytes.length.toString(2).padStart(lengthBits, '0');
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0');
  bits += '0000'.slice(0, size * 8 - bits.length);
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, '0');
  const used = bits.length / 8;
  return Uint8Array.from({ length: size }, (_, i) =>
    i < used ? parseInt(bits.slice(i * 8, i * 8 + 8), 2) : (i - used) % 2 ? 0x11 : 0xec,
  );
}

/** Splits into blocks, adds each one's correction, and takes a byte of each in turn. */
function interleave(version: number, data: Uint8Array): number[] {
  const blocks = at(BLOCKS, version - 1);
  const correction = at(CORRECTION, version - 1);
  const short = blocks - (data.length % blocks);
  const size = Math.floor(data.length / blocks);
  const divisor = generator(correction);
  const parts: Uint8Array[] = [];
  for (let i = 0, from = 0; i < blocks; i++) {
    const to = from + size + (i < short ? 0 : 1);
    parts.push(data.subarray(from, to));
    from = to;
  }
  const out: number[] = [];
  for (let i = 0; i <= size; i++) for (const part of parts) if (i < part.length) out.push(at(part, i));
  const checks = parts.map((part) => remainder(part, divisor));
  for (let i = 0; i < correction; i++) for (const check of checks) out.push(at(check, i));
  return out;
}

/** In GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1. */
function times(a: number, b: number): number {
  let product = 0;
  for (let i = 7; i >= 0; i--) product = (product << 1) ^ ((product >>> 7) * 0x11d) ^ (((b >>> i) & 1) * a);
  return product;
}

function generator(degree: number): Uint8Array {
  const result = new Uint8Array(degree);
  result[degree - 1] = 1;
  for (let i = 0, root = 1; i < degree; i++, root = times(root, 2))
    for (let j = 0; j < degree; j++) result[j] = times(at(result, j), root) ^ at(result, j + 1);
  return result;
}

function remainder(data: Uint8Array, divisor: Uint8Array): number[] {
  const result = Array.from<number>({ length: divisor.length }).fill(0);
  for (const byte of data) {
    const factor = byte ^ (result.shift() ?? 0);
    result.push(0);
    divisor.forEach((coefficient, i) => (result[i] = at(result, i) ^ times(coefficient, factor)));
  }
  return result;
}

/** Draws the fixed patterns, lays the bits in zigzag, and keeps the mask that reads best. */
function draw(version: number, words: number[]): boolean[][] {
  const size = version * 4 + 17;
  const grid = () => Array.from({ length: size }, () => Array.from<boolean>({ length: size }).fill(false));
  const dark = grid();
  const fixed = grid();
  const get = (of: boolean[][], x: number, y: number) => of[y]?.[x] ?? false;
  const set = (x: number, y: number, on: boolean) => {
    if (x < 0 || y < 0 || x >= size || y >= size) return;
    (dark[y] ?? [])[x] = on;
    (fixed[y] ?? [])[x] = true;
  };
  const square = (cx: number, cy: number, reach: number, light: (distance: number) => boolean) => {
    for (let dy = -reach; dy <= reach; dy++)
      for (let dx = -reach; dx <= reach; dx++) set(cx + dx, cy + dy, !light(Math.max(Math.abs(dx), Math.abs(dy))));
  };

  for (let i = 0; i < size; i++) {
    set(6, i, i % 2 === 0);
    set(i, 6, i % 2 === 0);
  }
  const marks = alignment(version);
  const last = marks.length - 1;
  marks.forEach((x, i) =>
    marks.forEach((y, j) => {
      const corner = (i === 0 && j === 0) || (i === 0 && j === last) || (i === last && j === 0);
      if (!corner) square(x, y, 2, (d) => d === 1);
    }),
  );
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]] as const) square(x, y, 4, (d) => d === 2 || d === 4);
  if (version >= 7) {
    const bits = (version << 12) | check(version, 12, 0x1f25);
    for (let i = 0; i < 18; i++) {
      const on = ((bits >>> i) & 1) === 1;
      set(size - 11 + (i % 3), Math.floor(i / 3), on);
      set(Math.floor(i / 3), size - 11 + (i % 3), on);
    }
  }
  const format = (mask: number) => {
    const data = 8 | mask; // level L is 01
    const bits = ((data << 10) | check(data, 10, 0x537)) ^ 0x5412;
    for (let i = 0; i < 15; i++) {
      const on = ((bits >>> i) & 1) === 1;
      set(8, i < 6 ? i : i < 8 ? i + 1 : size - 15 + i, on);
      set(i < 8 ? size - 1 - i : i === 8 ? 7 : 14 - i, 8, on);
    }
    set(8, size - 8, true);
  };
  format(0);

  let i = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++) {
      const y = ((right + 1) & 2) === 0 ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (get(fixed, x, y) || i >= words.length * 8) continue;
        (dark[y] ?? [])[x] = ((at(words, i >> 3) >>> (7 - (i & 7))) & 1) === 1;
        i++;
      }
    }
  }

  let best: { code: boolean[][]; cost: number } | undefined;
  MASKS.forEach((flips, mask) => {
    format(mask);
    const code = dark.map((row, y) => row.map((on, x) => on !== (!get(fixed, x, y) && flips(x, y) === 0)));
    const cost = penalty(code);
    if (!best || cost < best.cost) best = { code, cost };
  });
  return best?.code ?? dark;
}

/** The remainder of a BCH code. */
function check(data: number, bits: number, divisor: number): number {
  let rest = data;
  for (let i = 0; i < bits; i++) rest = (rest << 1) ^ ((rest >>> (bits - 1)) * divisor);
  return rest;
}

function alignment(version: number): number[] {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = Math.floor((version * 8 + count * 3 + 5) / (count * 4 - 4)) * 2;
  return [6, ...Array.from({ length: count - 1 }, (_, i) => version * 4 + 10 - (count - 2 - i) * step)];
}

/** How badly a camera would read it: long runs, blocks, what looks like a corner, and too much of one shade. */
function penalty(code: boolean[][]): number {
  const rows = code.map((row) => row.map(Number).join(''));
  const columns = rows.map((_, x) => rows.map((row) => row[x]).join(''));
  let cost = 0;
  for (const line of [...rows, ...columns]) {
    for (const run of line.match(/0{5,}|1{5,}/g) ?? []) cost += run.length - 2;
    cost += 40 * (line.match(/(?=00001011101|10111010000)/g) ?? []).length;
  }
  rows.forEach((row, y) => {
    for (let x = 1; x < row.length && y > 0; x++) {
      const four = row.slice(x - 1, x + 1) + rows[y - 1]?.slice(x - 1, x + 1);
      if (four === '0000' || four === '1111') cost += 3;
    }
  });
  const share = (rows.join('').match(/1/g) ?? []).length / rows.length ** 2;
  return cost + 10 * Math.floor(Math.abs(share * 20 - 10));
}
