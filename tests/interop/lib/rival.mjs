// js-libp2p with itself, and ours with itself, measured in the same way. Each at a relay of its own kind.
//
// All pages run on this machine, so `performance.timeOrigin + performance.now()` is one clock.

import { DEADLINE, waitFor } from '../../lib/wait.mjs';
import { connected, freshTopic, goDirect, openNode, startAt, startJsRelay, startOurRelay } from './rig.mjs';

/** Of another size, by which they are told apart. */
const WARM = { count: 50, size: 299, gap: 20 };

/** @typedef {{ page: string, startRelay: () => Promise<{ address: string, peer: string, owner?: string, stop: () => Promise<unknown> }> }} Side */

/** Who is measured. @param {{ url: string, ours: string }} site from `servePage` */
export const sides = (site) => ({
  /** @type {Side} */
  js: { page: site.url, startRelay: startJsRelay },
  /** @type {Side} */
  ours: {
    page: site.ours,
    async startRelay() {
      const relay = await startOurRelay();
      return { ...relay, stop: () => relay.kill() };
    },
  },
});

/** When `node` first had a direct connection to `peer`, or undefined. @param {import('./rig.mjs').PageNode} node */
const firstDirect = async (node, peer, since = 0) =>
  (await node.call('opened')).find((one) => one.peer === peer && one.direct && one.at > since)?.at;

/**
 * Two pages that are reachable at a relay of their own. Of ours the first begins, as it does with js-libp2p, where whoever
 * dials begins.
 * @template T
 * @param {Side} side
 * @param {(rig: { relay: Awaited<ReturnType<Side['startRelay']>>, ann: import('./rig.mjs').PageNode,
 *   ben: import('./rig.mjs').PageNode, annPeer: string, benPeer: string, benAddress: string }) => Promise<T>} measure
 */
async function withPair(side, measure, options = {}) {
  const relay = await side.startRelay();
  const ann = await openNode(side.page);
  const ben = await openNode(side.page);
  try {
    const { peer: annPeer } = await startAt(ann, [relay.address], { first: true, ...options });
    const { peer: benPeer, address: benAddress } = await startAt(ben, [relay.address], options);
    return await measure({ relay, ann, ben, annPeer, benPeer, benAddress });
  } finally {
    await Promise.all([ann.close(), ben.close(), relay.stop()]);
  }
}

/** A dial that was given up, or that hangs, is no time: the run is made again, and counted. */
const PATIENCE = 10_000;
/** Of js-libp2p's upgrades one in four hangs: more than five of a connection's are soon together, and ended the whole bench. */
const FAILURES = 20;

/**
 * Runs until so many succeeded; answers their values, and how many failed meanwhile.
 * @template T
 * @param {number} runs @param {() => Promise<T>} measure
 */
async function succeeding(runs, measure) {
  /** @type {T[]} */
  const values = [];
  let failed = 0;
  while (values.length < runs) {
    try {
      values.push(await measure());
    } catch (error) {
      failed += 1;
      if (failed > FAILURES) throw error;
      console.error(`A run failed: ${/** @type {Error} */ (error).message}`);
    }
  }
  return { values, failed };
}

/**
 * From a page's load until it is directly connected to another page, which waits at the relay: ms of each run, and how many failed.
 * @param {Side} side
 */
export const loadToDirect = (side, { runs = 7 } = {}) =>
  withPair(side, ({ relay, ann, benPeer, benAddress }) =>
    succeeding(runs, async () => {
      // Who dials needs no reservation of its own, and js-libp2p would wait for it.
      const relays = relay.owner ? [relay.address] : [];
      await ann.load({ start: { relays, first: true }, dial: benAddress });
      const at = await waitFor(() => firstDirect(ann, benPeer), PATIENCE, 'a direct connection');
      return at - (await ann.page.evaluate(() => performance.timeOrigin));
    }),
  );

/**
 * The upgrade alone: from when a relayed connection stands until both have a direct one: ms of each run, and how many failed.
 * Ours makes it by itself, once it has linked again to whom it has hung up on.
 * @param {Side} side
 */
export const upgrade = (side, { runs = 11 } = {}) =>
  withPair(side, async ({ relay, ann, ben, annPeer, benPeer, benAddress }) => {
    await goDirect({ node: ann, peer: annPeer }, { node: ben, peer: benPeer, address: benAddress });
    if (relay.owner) {
      return succeeding(runs, async () => {
        const { begin } = await ann.call('hangUp', benPeer);
        const both = await Promise.all([
          waitFor(() => firstDirect(ann, benPeer, begin), PATIENCE, 'the dialler has it'),
          waitFor(() => firstDirect(ben, annPeer, begin), PATIENCE, 'the other has it'),
        ]);
        const relayed = (await ann.call('opened')).find((one) => one.peer === benPeer && !one.direct && one.at > begin);
        return Math.max(...both) - relayed.at;
      });
    }
    await ann.call('dial', benAddress.replace('/webrtc', ''));
    await connected(ben, annPeer, false);
    const hangUp = async () => {
      await Promise.all([ann.call('hangUp', benPeer, 'direct'), ben.call('hangUp', annPeer, 'direct')]);
      const direct = async (node) => (await node.call('connections')).some((one) => one.direct);
      await waitFor(async () => !(await direct(ann)) && !(await direct(ben)), DEADLINE, 'both have hung up');
    };
    return succeeding(runs, async () => {
      await hangUp();
      const { begin } = await ann.call('dial', benAddress, PATIENCE);
      const both = await Promise.all([
        waitFor(() => firstDirect(ann, benPeer, begin), PATIENCE, 'the dialler has it'),
        waitFor(() => firstDirect(ben, annPeer, begin), PATIENCE, 'the other has it'),
      ]);
      return Math.max(...both) - begin;
    });
  });

/**
 * From a publish in one page until the other has the message: ms of each message.
 * `direct`: over WebRTC, the relay gone; else through the relay's GossipSub, the two not connected to each other. `signed`: by who
 * writes them, and checked by who takes them.
 * @param {Side} side
 */
export const publishToReceive = (side, { direct = true, signed = false, count = 200, size = 300, gap = 25 } = {}) =>
  withPair(
    side,
    async ({ relay, ann, ben, annPeer, benPeer, benAddress }) => {
      // Our relay hands on what belongs to a circle that it keeps.
      const topic = relay.owner ? await ann.call('register', relay.peer, relay.owner.split('/owner/')[1]) : freshTopic();
      for (const node of [ann, ben]) await node.call('subscribe', topic);
      if (direct) {
        await goDirect({ node: ann, peer: annPeer }, { node: ben, peer: benPeer, address: benAddress });
        await relay.stop();
        await waitFor(async () => (await ann.call('subscribers', topic)).includes(benPeer), DEADLINE, 'the other subscribed');
        await waitFor(async () => (await ann.call('speaks', benPeer)) === 'direct', DEADLINE, 'it speaks directly');
      }
      const far = direct ? [benPeer, annPeer] : [relay.peer, relay.peer];
      for (const [at, node] of [ann, ben].entries()) {
        await waitFor(async () => (await node.call('mesh', topic)).includes(far[at]), DEADLINE, 'the mesh stands');
      }
      const received = async (size) => {
        const all = (await ben.call('messages')).filter((one) => one.topic === topic && one.data.length === 2 * size);
        return new Map(all.map(({ data, at }) => [parseInt(Buffer.from(data, 'hex').toString()), at]));
      };
      // The first ones warm up what compiles while it runs.
      await ann.call('publishMany', topic, WARM);
      await waitFor(async () => (await received(WARM.size)).size === WARM.count, DEADLINE, `the first messages come at ${side.page}`);
      const sent = await ann.call('publishMany', topic, { count, size, gap });
      await waitFor(async () => (await received(size)).size === count, DEADLINE, `all messages come at ${side.page}`);
      const at = await received(size);
      return sent.map((begin, number) => (at.get(number) ?? NaN) - begin);
    },
    // Ours would link directly as soon as the two hear of each other.
    direct ? { signed } : { direct: false },
  );

/**
 * What the browser itself takes for it: from a `send` on a bare data channel until the other page has the message.
 * @param {string} url of a page, in which no node is started
 */
export async function channelAlone(url, { count = 200, size = 450, gap = 25 } = {}) {
  const [ann, ben] = [await openNode(url), await openNode(url)];
  try {
    const both = [ann, ben].map(({ page }) => page);
    for (const page of both) await page.evaluate(bare);
    const offer = await ann.page.evaluate(() => /** @type {any} */ (window).bare.describe());
    const answer = await ben.page.evaluate((offer) => /** @type {any} */ (window).bare.describe(offer), offer);
    await ann.page.evaluate((answer) => /** @type {any} */ (window).bare.take(answer), answer);
    const got = async () => {
      const all = await ben.page.evaluate(() => /** @type {any} */ (window).bare.got);
      return all.length === WARM.count + count && all;
    };
    const send = (count) => ann.page.evaluate((args) => /** @type {any} */ (window).bare.send(...args), [count, size, gap]);
    await send(WARM.count);
    const sent = await send(count);
    const all = await waitFor(got, DEADLINE, 'all messages come by the bare channel');
    return sent.map((begin, number) => all[WARM.count + number] - begin);
  } finally {
    await Promise.all([ann.close(), ben.close()]);
  }
}

/** Runs in a page: a peer connection with one channel. */
function bare() {
  const clock = () => performance.timeOrigin + performance.now();
  const connection = new RTCPeerConnection();
  const channel = connection.createDataChannel('', { negotiated: true, id: 0 });
  const opened = new Promise((resolve) => channel.addEventListener('open', resolve));
  /** @type {number[]} */
  const got = [];
  channel.binaryType = 'arraybuffer';
  channel.addEventListener('message', () => got.push(clock()));
  Object.assign(window, {
    bare: {
      got,
      /** The offer, or the answer to one, with all its candidates. */
      async describe(offer) {
        const gathered = new Promise((resolve) =>
          connection.addEventListener('icecandidate', ({ candidate }) => candidate ?? resolve(null)),
        );
        if (offer) await connection.setRemoteDescription(offer);
        await connection.setLocalDescription();
        await gathered;
        return connection.localDescription?.toJSON();
      },
      take: (answer) => connection.setRemoteDescription(answer),
      async send(count, size, gap) {
        await opened;
        const sent = [];
        for (let number = 0; number < count; number += 1) {
          const pause = new Promise((resolve) => setTimeout(resolve, gap));
          const message = new Uint8Array(size);
          sent.push(clock());
          channel.send(message);
          await pause;
        }
        return sent;
      },
    },
  });
}

/**
 * One stream's throughput over WebRTC, in MB (10^6 bytes) a second, of each run; the asker sends `up`, or takes `down`.
 * @param {Side} side
 */
export const throughput = (side, { runs = 5, bytes = 8_000_000 } = {}) =>
  withPair(side, async ({ ann, annPeer, ben, benPeer, benAddress }) => {
    await goDirect({ node: ann, peer: annPeer }, { node: ben, peer: benPeer, address: benAddress });
    /** @type {{ up: number[], down: number[] }} */
    const rates = { up: [], down: [] };
    for (let run = -1; run < runs; run += 1) {
      const up = await ann.call('perf', benPeer, { up: bytes, down: 1 }, 'direct');
      const down = await ann.call('perf', benPeer, { up: 0, down: bytes }, 'direct');
      if (run < 0) continue; // the browser compiles what runs often better
      rates.up.push(bytes / up / 1_000);
      rates.down.push(bytes / down / 1_000);
    }
    return rates;
  });
