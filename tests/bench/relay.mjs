// The relay alone: how soon it is ready, and how much memory it holds with nobody there.

import { readFileSync } from 'node:fs';

import { startRelay } from '../lib/relay.mjs';

const STARTS = 5;

const times = [];
let memory = 'not known on this system';
for (let round = 0; round < STARTS; round += 1) {
  const begin = performance.now();
  const relay = await startRelay();
  times.push(performance.now() - begin);
  if (process.platform === 'linux') {
    const kilobytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${relay.pid}/status`, 'utf8'))?.[1]);
    memory = `${(kilobytes / 1000).toFixed(1)} MB`;
  }
  await relay.stop();
}
times.sort((a, b) => a - b);

console.log(
  JSON.stringify([
    { what: `relay, start until ready, median of ${STARTS}`, value: `${Math.round(times[STARTS >> 1] ?? 0)} ms`, aim: '' },
    { what: 'relay, memory idle', value: memory, aim: 'at most 30 MB' },
  ]),
);
