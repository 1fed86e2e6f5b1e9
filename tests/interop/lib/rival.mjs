// js-libp2p measured: what ours is compared with. Run alone, it prints the rows of js-libp2p with itself.
//
// All pages run on this machine, so `performance.timeOrigin + performance.now()` is one clock.

import { median, ms, quantile, report } from '../../lib/measure.mjs';
import { DEADLINE, waitFor } from '../../lib/wait.mjs';
import { connected, freshTopic, openNode, servePage, startAt, startJsRelay } from './rig.mjs';

const SETTLE = { count: 10, size: 300, gap: 20 };

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

/**
 * From a page's load until it is directly connected to another page, which waits at the relay: ms of each run.
 * @param {string} site the page's URL, from `servePage`
 */
export const loadToDirect = (site, { runs = 7 } = {}) =>
  withPair(site, async ({ relay, ann, benPeer, benAddress }) => {
    const times = [];
    for (let run = 0; run < runs; run += 1) {
      await ann.load({ start: { relays: [relay.address] }, dial: benAddress });
      const at = await waitFor(() => firstDirect(ann, benPeer), DEADLINE, 'a direct connection');
      times.push(at - (await ann.page.evaluate(() => performance.timeOrigin)));
    }
    return times;
  });

/** The upgrade alone: a relayed connection stands, until both have a direct one: ms of each run. */
export const upgrade = (site, { runs = 11 } = {}) =>
  withPair(site, async ({ ann, ben, annPeer, benPeer, benAddress }) => {
    await ann.call('dial', benAddress.replace('/webrtc', ''));
    await connected(ben, annPeer, false);
    const times = [];
    for (let run = 0; run < runs; run += 1) {
      const { begin } = await ann.call('dial', benAddress);
      const both = await Promise.all([
        waitFor(() => firstDirect(ann, benPeer, begin), DEADLINE, 'the dialler has it'),
        waitFor(() => firstDirect(ben, annPeer, begin), DEADLINE, 'the other has it'),
      ]);
      times.push(Math.max(...both) - begin);
      await Promise.all([ann.call('hangUp', benPeer, 'direct'), ben.call('hangUp', annPeer, 'direct')]);
      const direct = async (node) => (await node.call('connections')).some((one) => one.direct);
      await waitFor(async () => !(await direct(ann)) && !(await direct(ben)), DEADLINE, 'both have hung up');
    }
    return times;
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
      await ann.call('dial', benAddress);
      await connected(ben, annPeer);
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
    await ann.call('publishMany', warm, SETTLE);
    const sent = await ann.call('publishMany', topic, { count, size, gap });
    await waitFor(async () => (await received()).size === count, DEADLINE, 'all messages come');
    const at = await received();
    return sent.map((begin, number) => (at.get(number) ?? NaN) - begin);
  });

/** One stream's throughput over WebRTC, in MB (10^6 bytes) a second, of each run; the asker sends `up`, or takes `down`. */
export const throughput = (site, { runs = 5, bytes = 8_000_000 } = {}) =>
  withPair(site, async ({ ann, annPeer, ben, benPeer, benAddress }) => {
    await ann.call('dial', benAddress);
    await connected(ben, annPeer);
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
  const site = await servePage();
  try {
    const spread = (times) => `${ms(median(times))} (${ms(Math.min(...times))} to ${ms(Math.max(...times))})`;
    const late = (times) => `${ms(quantile(times, 0.5))} (p99 ${ms(quantile(times, 0.99))})`;
    const rate = (all) => `${median(all).toFixed(1)} MB/s (${Math.min(...all).toFixed(1)} to ${Math.max(...all).toFixed(1)})`;
    const rows = [];
    rows.push({ what: 'js-libp2p: page load until the first direct link, median', value: spread(await loadToDirect(site.url)) });
    rows.push({ what: 'js-libp2p: the upgrade alone, median', value: spread(await upgrade(site.url)) });
    rows.push({ what: 'js-libp2p: publish until received, over WebRTC, median', value: late(await publishToReceive(site.url)) });
    rows.push({ what: 'js-libp2p: the same through its relay, median', value: late(await publishToReceive(site.url, { direct: false })) });
    const { up, down } = await throughput(site.url);
    rows.push({ what: 'js-libp2p: one stream over WebRTC, sent', value: rate(up) });
    rows.push({ what: 'js-libp2p: one stream over WebRTC, taken', value: rate(down) });
    report(rows);
  } finally {
    site.close();
  }
}

if (process.argv[1] === import.meta.filename) await alone();
