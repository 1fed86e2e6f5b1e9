// What two nodes say to each other in these tests, over one stream each. The Rust side speaks the same; nothing here
// depends on a transport.
//
// - echo: everything comes back, byte for byte; when the asker has ended, the answerer ends.
// - half-close: the answerer waits for the asker's end, and only then says how many bytes came: u64, big-endian.
// - reset: the asker's first byte says who breaks the stream: 0 the answerer, 1 the asker, once the answerer sent one byte.
// - perf (as libp2p's): the asker says how many bytes it wants back (u64, big-endian), sends as many as it likes, ends;
//   then the answerer sends what was asked for, and ends.

/** @typedef {import('@libp2p/interface').Stream} Stream */
/** @typedef {import('@libp2p/interface').Libp2p} Node */

export const ECHO = '/interop/echo/1';
export const HALF_CLOSE = '/interop/half-close/1';
export const RESET = '/interop/reset/1';
export const PERF = '/interop/perf/1';

/** What `reset` begins with. */
export const BREAKS = { answerer: 0, asker: 1 };

/** No test sends more in one stream. */
const MOST = 64 * 1024 * 1024;
const CHUNK = 64 * 1024;

/**
 * Reads a stream from now on. Call it before the first `await` after the stream is there, or its end may be missed.
 * @param {Stream} stream
 */
export function reader(stream) {
  /** @type {Uint8Array[]} */
  let chunks = [];
  let total = 0;
  let wake = () => {};
  stream.addEventListener('message', ({ data }) => {
    total += data.byteLength;
    if (total > MOST) return stream.abort(new Error(`More than ${MOST} bytes came.`));
    chunks.push(data.subarray());
    wake();
  });
  stream.addEventListener('end', () => wake());
  stream.addEventListener('close', () => wake());
  const broken = () => stream.status === 'reset' || stream.status === 'aborted';
  return {
    /** The next bytes, or null at the end. Throws if the stream breaks. */
    async next() {
      for (;;) {
        const chunk = chunks.shift();
        if (chunk) return chunk;
        if (broken()) throw new Error(stream.status);
        if (stream.readableEnded || stream.status === 'closed') return null;
        await new Promise((resolve) => {
          wake = () => resolve(undefined);
        });
      }
    },
    /** All that comes until the end. */
    async rest() {
      const all = [];
      for (let chunk = await this.next(); chunk; chunk = await this.next()) all.push(chunk);
      return joined(all);
    },
    /** At least so many bytes, and whatever came with them. @param {number} count */
    async atLeast(count) {
      const all = [];
      for (let held = 0; held < count; held = all.reduce((sum, { byteLength }) => sum + byteLength, 0)) {
        const chunk = await this.next();
        if (!chunk) throw new Error(`The stream ended before its first ${count} bytes.`);
        all.push(chunk);
      }
      return joined(all);
    },
    /** Counts until the end, and keeps nothing. */
    async count() {
      let bytes = 0;
      for (let chunk = await this.next(); chunk; chunk = await this.next()) bytes += chunk.byteLength;
      return bytes;
    },
  };
}

/** @param {Uint8Array[]} chunks */
function joined(chunks) {
  const all = new Uint8Array(chunks.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}

/** Sends as fast as the far side takes it. @param {Stream} stream @param {Uint8Array} bytes */
async function send(stream, bytes) {
  for (let at = 0; at < bytes.byteLength; at += CHUNK) {
    if (!stream.send(bytes.subarray(at, at + CHUNK))) await stream.onDrain();
  }
}

/** @param {Stream} stream @param {number} count */
async function sendZeros(stream, count) {
  const zeros = new Uint8Array(CHUNK);
  for (let left = count; left > 0; left -= CHUNK) {
    if (!stream.send(zeros.subarray(0, Math.min(left, CHUNK)))) await stream.onDrain();
  }
}

/** @param {number | bigint} value */
function u64(value) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

/** @param {Uint8Array} bytes */
const asU64 = (bytes) => Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0));

/** Bytes that differ from each other and from run to run. @param {number} count */
function some(count) {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

/** @param {Uint8Array} one @param {Uint8Array} other */
const same = (one, other) => one.byteLength === other.byteLength && one.every((byte, at) => byte === other[at]);

/**
 * Answers all four. `seen.broken` counts the streams that the asker broke.
 * @param {Node} node
 */
export async function answer(node) {
  const seen = { broken: 0 };
  /** @param {(stream: Stream, from: ReturnType<typeof reader>) => Promise<void>} handler */
  const handle = (protocol, handler) =>
    node.handle(
      protocol,
      async (stream) => {
        const from = reader(stream);
        try {
          await handler(stream, from);
        } catch (error) {
          if (stream.status === 'reset') seen.broken += 1;
          else stream.abort(/** @type {Error} */ (error));
        }
      },
      { runOnLimitedConnection: true },
    );
  await handle(ECHO, async (stream, from) => {
    for (let chunk = await from.next(); chunk; chunk = await from.next()) await send(stream, chunk);
    await stream.close();
  });
  await handle(HALF_CLOSE, async (stream, from) => {
    const count = await from.count();
    stream.send(u64(count));
    await stream.close();
  });
  await handle(RESET, async (stream, from) => {
    const [who] = await from.atLeast(1);
    if (who === BREAKS.answerer) return stream.abort(new Error('as asked'));
    stream.send(new Uint8Array(1));
    await from.rest();
  });
  await handle(PERF, async (stream, from) => {
    const wanted = asU64(await from.atLeast(8));
    if (wanted > MOST) throw new Error(`${wanted} bytes are too many`);
    await from.count();
    await sendZeros(stream, wanted);
    await stream.close();
  });
  return seen;
}

/**
 * Sends `count` bytes; answers how long it took until they were back, in ms. Throws if others came back.
 * @param {Stream} stream @param {number} count
 */
export async function askEcho(stream, count) {
  const from = reader(stream);
  const bytes = some(count);
  const begin = performance.now();
  const [back] = await Promise.all([from.rest(), send(stream, bytes).then(() => stream.close())]);
  const time = performance.now() - begin;
  if (!same(bytes, back)) throw new Error(`${back.byteLength} bytes came back for ${count}, or other ones.`);
  return time;
}

/**
 * Ends the own side, and answers what the far side then says: how many bytes it has read.
 * @param {Stream} stream @param {number} count
 */
export async function askHalfClose(stream, count) {
  const from = reader(stream);
  await send(stream, some(count));
  const [, back] = await Promise.all([stream.close(), from.rest()]);
  if (back.byteLength !== 8) throw new Error(`${back.byteLength} bytes were said, not 8.`);
  return asU64(back);
}

/**
 * Has the stream broken by `who`; answers how the stream ended here: `reset` by the far side, `aborted` by this one.
 * @param {Stream} stream @param {keyof typeof BREAKS} who
 */
export async function askReset(stream, who) {
  const from = reader(stream);
  stream.send(Uint8Array.of(BREAKS[who]));
  if (who === 'asker') {
    await from.atLeast(1);
    stream.abort(new Error('as agreed'));
    return stream.status;
  }
  try {
    await from.rest();
  } catch {
    // broken, as it should be: its state says by whom
  }
  return stream.status;
}

/**
 * Sends `up` bytes and takes `down`: how long it took in ms, from the first byte to the far side's end.
 * @param {Stream} stream @param {{ up: number, down: number }} bytes
 */
export async function askPerf(stream, { up, down }) {
  const from = reader(stream);
  const begin = performance.now();
  stream.send(u64(down));
  await sendZeros(stream, up);
  const [, came] = await Promise.all([stream.close(), from.count()]);
  const time = performance.now() - begin;
  if (came !== down) throw new Error(`${came} bytes came of ${down}`);
  return time;
}
