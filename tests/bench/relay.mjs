// The relay: how soon it is ready, and how much memory it holds with nobody there and with twenty browsers.

import { MEMBERS, openCircles } from '../lib/circles.mjs';
import { median, memory, memoryRow, ms, report } from '../lib/measure.mjs';
import { startRelay } from '../lib/relay.mjs';

const STARTS = 5;
const CIRCLES = 2;

async function alone() {
  const [times, held] = [[], []];
  for (let round = 0; round < STARTS; round += 1) {
    const begin = performance.now();
    const relay = await startRelay();
    times.push(performance.now() - begin);
    await (await fetch(relay.page)).arrayBuffer();
    held.push(memory(relay.pid));
    await relay.stop();
  }
  return [
    { what: `relay, start until ready, median of ${STARTS}`, value: `${ms(median(times))} (at most ${ms(Math.max(...times))})` },
    memoryRow('relay, memory idle', held.some((one) => one === null) ? null : Math.max(...held), 30),
  ];
}

async function withBrowsers() {
  const relay = await startRelay();
  try {
    const { close } = await openCircles(relay, CIRCLES);
    const rows = [
      memoryRow(`relay, memory with ${CIRCLES * MEMBERS} browser nodes, each of which joined and wrote`, memory(relay.pid), 50),
      { what: 'relay, memory at its most until then', value: memoryRow('', memory(relay.pid, 'VmHWM'), 50).value },
    ];
    await close();
    return rows;
  } finally {
    await relay.stop();
  }
}

report([...(await alone()), ...(await withBrowsers())]);
