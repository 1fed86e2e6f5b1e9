// Browser to browser, beside js-libp2p over its own WebRTC and through its own relay.

import { servePage } from '../interop/lib/rig.mjs';
import { channelAlone, loadToDirect, publishToReceive, sides, throughput, upgrade } from '../interop/lib/rival.mjs';
import { median, ms, quantile, report } from '../lib/measure.mjs';

const site = await servePage();
const { js, ours } = sides(site);
const rows = [];

/** A row with both, and ours in js-libp2p's. @param {string} what @param {number} mine @param {number} theirs */
function row(what, mine, theirs, show, aim, met, more = '') {
  const ratio = mine / theirs;
  rows.push({ what, value: `${show(mine)}, js-libp2p ${show(theirs)}: ${ratio.toFixed(2)}${more}`, aim, met: met(ratio) });
}

/** A row of times, some of which never came. @param {Record<'ours' | 'js', { values: number[], failed: number }[]>} all */
function timesRow(what, all) {
  const [mine, theirs] = [all.ours, all.js].map((rounds) => median(rounds.flatMap(({ values }) => values)));
  const [lost, theirLost] = [all.ours, all.js].map((rounds) => rounds.reduce((sum, { failed }) => sum + failed, 0));
  row(what, mine, theirs, ms, 'at most 0.8', atMost(0.8), lost || theirLost ? ` (gave up: ${lost}, js-libp2p ${theirLost})` : '');
}

const atMost = (most) => (ratio) => ratio <= most;
/** Of equal amounts, at these rates. @param {number[]} rates */
const overall = (rates) => rates.length / rates.reduce((time, rate) => time + 1 / rate, 0);
const rate = (value) => `${value.toFixed(1)} MB/s`;

/**
 * The values of some rounds, the two in turn: a connection has its luck, and the machine its moods.
 * @template T @param {number} rounds @param {(side: import('../interop/lib/rival.mjs').Side) => Promise<T>} measure
 */
async function inTurn(rounds, measure) {
  const all = { ours: /** @type {T[]} */ ([]), js: /** @type {T[]} */ ([]) };
  for (let round = 0; round < rounds; round += 1) {
    all.ours.push(await measure(ours));
    all.js.push(await measure(js));
  }
  return all;
}

try {
  timesRow('page load until the first direct link, median', await inTurn(2, loadToDirect));
  timesRow('the upgrade alone, median', await inTurn(2, upgrade));
  for (const [direct, where, most] of /** @type {const} */ ([[true, 'direct', 0.8], [false, 'through the relay', 1]])) {
    // Connections differ more than messages of one do: rather more of them, and fewer messages of each. Directly the two are so
    // near to what the browser takes that with 1,000 messages of each the p99 beside js-libp2p's lay anywhere from 0.75 to 1.03.
    /** @type {number[]} */
    const alone = [];
    const count = direct ? 150 : 100;
    const took = await inTurn(direct ? 20 : 10, async (side) => {
      if (direct && side === ours) alone.push(...(await channelAlone(site.url, { count })));
      return publishToReceive(side, { direct, count });
    });
    const [mine, theirs] = [took.ours.flat(), took.js.flat()];
    row(`publish until received, ${where}, p50`, quantile(mine, 0.5), quantile(theirs, 0.5), ms, `at most ${most}`, atMost(most));
    if (direct) {
      const browser = quantile(alone, 0.5);
      const value = `${ms(browser)}, of js-libp2p's whole time: ${(browser / quantile(theirs, 0.5)).toFixed(2)}`;
      rows.push({ what: 'of that the browser itself takes, by a bare data channel, p50', value });
      // What a friend writes is signed, and so is what js-libp2p publishes by itself.
      const signed = await inTurn(10, (side) => publishToReceive(side, { signed: true, count: 100 }));
      const [own, other] = [quantile(signed.ours.flat(), 0.5), quantile(signed.js.flat(), 0.5)];
      row('sign and publish until received and checked, direct, p50', own, other, ms, 'at most 0.8', atMost(0.8));
    }
    row(`publish until received, ${where}, p99`, quantile(mine, 0.99), quantile(theirs, 0.99), ms, 'at most 1', atMost(1));
  }
  const rates = await inTurn(8, throughput);
  for (const way of /** @type {const} */ (['up', 'down'])) {
    // Single runs lie far apart, as the browser's own transport has it; so it is what all of them took together.
    const [mine, theirs] = [rates.ours, rates.js].map((rounds) => overall(rounds.flatMap((round) => round[way])));
    row(`one stream, ${way === 'up' ? 'sent' : 'taken'}, all runs together`, mine, theirs, rate, 'at least 1', (ratio) => ratio >= 1);
  }
} finally {
  site.close();
}
report(rows);
