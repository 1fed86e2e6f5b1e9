// Browser to browser, beside js-libp2p over its own WebRTC and through its own relay.

import { servePage } from '../interop/lib/rig.mjs';
import { loadToDirect, publishToReceive, sides, throughput, upgrade } from '../interop/lib/rival.mjs';
import { median, ms, quantile, report } from '../lib/measure.mjs';

const site = await servePage();
const { js, ours } = sides(site);
const rows = [];

/** A row with both, and ours in js-libp2p's. @param {string} what @param {number} mine @param {number} theirs */
function row(what, mine, theirs, show, aim, met) {
  const ratio = mine / theirs;
  rows.push({ what, value: `${show(mine)}, js-libp2p ${show(theirs)}: ${ratio.toFixed(2)}`, aim, met: met(ratio) });
}

const atMost = (most) => (ratio) => ratio <= most;
const rate = (value) => `${value.toFixed(1)} MB/s`;

try {
  const load = { ours: await loadToDirect(ours), js: await loadToDirect(js) };
  row('page load until the first direct link, median', median(load.ours.values), median(load.js.values), ms, 'at most 0.8', atMost(0.8));
  const up = { ours: await upgrade(ours), js: await upgrade(js) };
  row('the upgrade alone, median', median(up.ours.values), median(up.js.values), ms, 'at most 0.8', atMost(0.8));
  for (const [direct, where, most] of /** @type {const} */ ([[true, 'direct', 0.8], [false, 'through the relay', 1]])) {
    const mine = await publishToReceive(ours, { direct });
    const theirs = await publishToReceive(js, { direct });
    row(`publish until received, ${where}, p50`, quantile(mine, 0.5), quantile(theirs, 0.5), ms, `at most ${most}`, atMost(most));
    row(`publish until received, ${where}, p99`, quantile(mine, 0.99), quantile(theirs, 0.99), ms, 'at most 1', atMost(1));
  }
  const mine = await throughput(ours);
  const theirs = await throughput(js);
  for (const way of /** @type {const} */ (['up', 'down'])) {
    row(`one stream, ${way === 'up' ? 'sent' : 'taken'}, median`, median(mine[way]), median(theirs[way]), rate, 'at least 1', (ratio) => ratio >= 1);
  }
} finally {
  site.close();
}
report(rows);
