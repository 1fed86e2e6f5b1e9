// js-libp2p measured: what ours is compared with. Run alone, it prints the rows of js-libp2p with itself.
//
// All pages run on this machine, so `performance.timeOrigin + performance.now()` is one clock.

import { median, ms, quantile, report } from '../../lib/measure.mjs';
import { DEADLINE, waitFor } from '../../lib/wait.mjs';
import { connected, freshTopic, goDirect, openNode, servePage, startAt, startJsRelay } from './rig.mjs';

/** Of another size: js-libp2p takes a message for a duplicate by its bytes alone, whatever the topic. */
const WARM = { count: 10, size: 299, gap: 20 };

/** When `node` first had a direct connection to `peer`, or undefined. @param {import('./rig.mjs').PageNode} node */
const firstDirect = async (node, peer, since = 0) =>
  (await node.call('opened')).find((one) => one.peer === peer && one.direct && one.at > since)?.at;

/**
 * Two pages that are reachable at a relay of their own.
 * @template T
 * @param {(rig: { site: string, relay: Awaited<ReturnType<typeof startJsRelay>>, ann: import('./rig.mjs').PageNode,
 *   ben: import('./rig.mjs').PageNode, annPeer: string, benPeer: string, benAddress: string }) => Promise<T>} measure
 */
async function withPair(site, measure) {
  const relay = await startJsRelay();
  const ann = await openNode(site);
  const ben = await openNode(site);
  try {
    const { peer: annPeer } = await startAt(ann, [relay.address]);
    const { peer: benPeer, address: benAddress } = await startAt(ben, [relay.address]);
    return await measure({ site, relay, ann, ben, annPeer, benPeer, benAddress });
  } finally {
    await Promise.all([ann.close(), ben.close(), relay.stop()]);
  }
}

/** A dial that js-libp2p gave up, or that hangs, is no time: the run is made again. */
const PATIENCE = 10_000;
const FAILURES = 5;

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
 * @param {string} site the page's URL, from `servePage`
 */
export const loadToDirect = (site, { runs = 7 } = {}) =>
  withPair(site, ({ relay, ann, benPeer, benAddress }) =>
    succeeding(runs, async () => {
      await ann.load({ start: { relays: [relay.address] }, dial: benAddress });
      const at = await waitFor(() => firstDirect(ann, benPeer), PATIENCE, 'a direct connection');
      return at - (await ann.page.evaluate(() => performance.timeOrigin));
    }),
  );

/** The upgrade alone: a relayed connection stands, until both have a direct one: ms of each run, and how many failed. */
export const upgrade = (site, { runs = 11 } = {}) =>
  withPair(site, async ({ ann, ben, annPeer, benPeer, benAddress }) => {
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
 * `direct`: over WebRTC, the relay gone; else through the relay's GossipSub, the two not connected to each other.
 */
export const publishToReceive = (site, { direct = true, count = 200, size = 300, gap = 25 } = {}) =>
  withPair(site, async ({ relay, ann, ben, annPeer, benPeer, benAddress }) => {
    const topic = freshTopic();
    for (const node of [ann, ben]) await node.call('subscribe', topic);
    if (direct) {
      await goDirect({ node: ann, peer: annPeer }, { node: ben, peer: benPeer, address: benAddress });
      await relay.stop();
      await waitFor(async () => (await ann.call('subscribers', topic)).includes(benPeer), DEADLINE, 'the other subscribed');
    }
    const far = direct ? [benPeer, annPeer] : [relay.peer, relay.peer];
    for (const [at, node] of [ann, ben].entries()) {
      await waitFor(async () => (await node.call('mesh', topic)).includes(far[at]), DEADLINE, 'the mesh stands');
    }
    const received = async () => {
      const all = (await ben.call('messages')).filter((one) => one.topic === topic);
      return new Map(all.map(({ data, at }) => [parseInt(Buffer.from(data, 'hex').toString()), at]));
    };
    // The first ones warm up what compiles while it runs, and the other topic's numbers do not count.
    const warm = freshTopic();
    for (const node of [ann, ben]) await node.call('subscribe', warm);
    await ann.call('publishMany', warm, WARM);
    const sent = await ann.call('publishMany', topic, { count, size, gap });
    await waitFor(async () => (await received()).size === count, DEADLINE, 'all messages come');
    const at = await received();
    return sent.map((begin, number) => (at.get(number) ?? NaN) - begin);
  });

/** One stream's throughput over WebRTC, in MB (10^6 bytes) a second, of each run; the asker sends `up`, or takes `down`. */
export const throughput = (site, { runs = 5, bytes = 8_000_000 } = {}) =>
  withPair(site, async ({ ann, annPeer, ben, benPeer, benAddress }) => {
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

async function alone() {
  const spread = (times) => `${ms(median(times))} (${ms(Math.min(...times))} to ${ms(Math.max(...times))})`;
  const tried = ({ values, failed }) => spread(values) + (failed ? `; ${failed} more failed` : '');
  const late = (times) => `${ms(quantile(times, 0.5))} (p99 ${ms(quantile(times, 0.99))})`;
  const rate = (all) => `${median(all).toFixed(1)} MB/s (${Math.min(...all).toFixed(1)} to ${Math.max(...all).toFixed(1)})`;
  const site = await servePage();
  try {
    const load = await loadToDirect(site.url);
    const upgrades = await upgrade(site.url);
    const direct = await publishToReceive(site.url);
    const relayed = await publishToReceive(site.url, { direct: false });
    const { up, down } = await throughput(site.url);
    report([
      { what: `js-libp2p: page load until the first direct link, median of ${load.values.length}`, value: tried(load) },
      { what: `js-libp2p: the upgrade alone, median of ${upgrades.values.length}`, value: tried(upgrades) },
      { what: `js-libp2p: publish until received, over WebRTC, median of ${direct.length}`, value: late(direct) },
      { what: `js-libp2p: publish until received, through its relay, median of ${relayed.length}`, value: late(relayed) },
      { what: `js-libp2p: one stream over WebRTC, sent, median of ${up.length}`, value: rate(up) },
      { what: `js-libp2p: one stream over WebRTC, taken, median of ${down.length}`, value: rate(down) },
    ]);
  } finally {
    site.close();
  }
}

if (process.argv[1] === import.meta.filename) await alone();
