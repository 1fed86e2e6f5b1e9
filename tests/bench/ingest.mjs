// How many entries a second a page takes in: without a disk, with IndexedDB, beside the same code run natively, and
// beside @noble/ed25519 checking the same signatures in the same page.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { median, ms, report } from '../lib/measure.mjs';
import { openProfile } from '../lib/profile.mjs';
import { serve } from '../lib/serve.mjs';

const ENTRIES = 10_000;
const AUTHORS = 100;
const RUNS = 10;
/** Signatures that noble checks in a run: all of them in all runs. */
const PART = ENTRIES / RUNS;
/** Entries that a header settles. */
const BY_HEADER = 100;
/** Entries a second without a disk; and how many times noble's rate, native time, time without a disk, and ingest's rate. */
const AIM = { rate: 35_000, noble: 35, native: 2.5, disk: 1.4, hash: 8 };

const modules = process.env.LEDGERNO_BROWSER_TESTS;
const load = process.env.LEDGERNO_LOAD;
if (!modules || !load) throw new Error('LEDGERNO_BROWSER_TESTS and LEDGERNO_LOAD name what is measured: run this by `cargo xtask bench`.');

const HTML = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module">
  import init, { Ingest } from './module/ledgerno_browser_tests.js';
  import { hashes, verify } from './ed25519/index.js';
  import { sha512 } from './hashes/sha2.js';
  hashes.sha512 = sha512;
  await init();
  const { port1, port2 } = new MessageChannel();
  const travels = () =>
    new Promise((resolve) => {
      port1.onmessage = resolve;
      port2.postMessage(null);
    });
  let ingest, settled;
  window.bench = {
    prepare(entries, authors, byHeader) {
      ingest = new Ingest(entries, authors);
      settled = Ingest.settled(entries, authors, byHeader);
    },
    byHash: () => settled.run_without_disk(),
    ingest: () => ingest.run_without_disk(),
    stored: () => ingest.run(travels),
    noble(from, to) {
      const all = ingest.claims();
      const claims = [];
      for (let at = 128 * from; at < 128 * to; at += 128) {
        claims.push([all.slice(at + 64, at + 128), all.slice(at + 32, at + 64), all.slice(at, at + 32)]);
      }
      const begin = performance.now();
      const good = claims.filter((claim) => verify(...claim)).length;
      const time = performance.now() - begin;
      if (good !== to - from) throw new Error(good + ' signatures hold of ' + (to - from));
      return time;
    },
  };
</script>`;

/** The native program: each call is a run, in milliseconds. */
async function native() {
  const child = spawn(load, [String(ENTRIES), String(AUTHORS)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${load} ended`);
    return value;
  };
  await line();
  return {
    run: async () => {
      child.stdin.write('run\n');
      return Number(await line());
    },
    close: () => child.stdin.end(),
  };
}

const server = await serve(HTML, {
  module: modules,
  ed25519: join(import.meta.dirname, '../../node_modules/@noble/ed25519'),
  hashes: join(import.meta.dirname, '../../node_modules/@noble/hashes'),
});
const profile = await openProfile();
const beside = await native();
try {
  const { page } = profile;
  page.on('pageerror', (error) => console.error(`thrown: ${error.message}`));
  await page.goto(server.url);
  await page.waitForFunction(() => 'bench' in window);
  const inPage = (what, ...args) =>
    page.evaluate(([what, args]) => /** @type {any} */ (window).bench[what](...args), [what, args]);
  await inPage('prepare', ENTRIES, AUTHORS, BY_HEADER);
  const measured = {
    byHash: () => inPage('byHash'),
    ingest: () => inPage('ingest'),
    stored: () => inPage('stored'),
    native: () => beside.run(),
    noble: (run) => inPage('noble', run * PART, (run + 1) * PART),
  };
  /** @type {Record<string, number[]>} */
  const times = { byHash: [], ingest: [], stored: [], native: [], noble: [] };
  // The browser compiles what runs often better: nobody's first run counts. In turns, so that what else the machine does
  // meets all of them.
  for (let run = -1; run < RUNS; run += 1) {
    for (const [what, measure] of Object.entries(measured)) {
      const time = await measure(Math.max(run, 0));
      if (run >= 0) times[what].push(time);
    }
  }
  for (const [what, all] of Object.entries(times)) console.error(`${what}: ${all.map(ms).join(', ')}`);

  const rate = (what, count = ENTRIES) => (1_000 * count) / median(times[what]);
  const perSecond = (what, count) => `${Math.round(rate(what, count)).toLocaleString('en')} a second`;
  const spread = (what) => `${ms(Math.min(...times[what]))} to ${ms(Math.max(...times[what]))}`;
  const timesNoble = rate('ingest') / rate('noble', PART);
  // Of each turn by itself, for the machine's speed changes between turns.
  const ratio = (one, other) => median(times[one].map((time, run) => time / times[other][run]));
  report([
    {
      what: `ingest of ${ENTRIES.toLocaleString('en')} entries by ${AUTHORS} authors in wasm (decode, hash, check, index), median of ${RUNS} after a first`,
      value: `${perSecond('ingest')} (${spread('ingest')} in all)`,
      aim: `at least ${AIM.rate.toLocaleString('en')} a second`,
      met: rate('ingest') >= AIM.rate,
    },
    {
      what: '@noble/ed25519, the same signatures in the same page (`verify`, plain JavaScript, SHA-512 of @noble/hashes)',
      value: perSecond('noble', PART),
    },
    {
      what: "ingest beside noble's rate",
      value: `${timesNoble.toFixed(1)} times`,
      aim: `at least ${AIM.noble} times`,
      met: timesNoble >= AIM.noble,
    },
    {
      what: 'the same natively',
      value: `${perSecond('native')} (${spread('native')} in all)`,
    },
    {
      what: 'ingest in wasm, time beside native',
      value: `${ratio('ingest', 'native').toFixed(2)} times`,
      aim: `at most ${AIM.native} times`,
      met: ratio('ingest', 'native') <= AIM.native,
    },
    {
      what: 'ingest in wasm with IndexedDB (strict durability)',
      value: `${perSecond('stored')} (${spread('stored')} in all)`,
    },
    {
      what: 'ingest with IndexedDB, time beside without',
      value: `${ratio('stored', 'ingest').toFixed(2)} times`,
      aim: `at most ${AIM.disk} times`,
      met: ratio('stored', 'ingest') <= AIM.disk,
    },
    {
      what: `settled history in wasm, ${BY_HEADER} entries a header: taken in by hash, its signatures still to be checked`,
      value: `${perSecond('byHash')} (${spread('byHash')} in all)`,
    },
    {
      what: "settled history by hash beside ingest's rate",
      value: `${ratio('ingest', 'byHash').toFixed(1)} times`,
      aim: `at least ${AIM.hash} times`,
      met: ratio('ingest', 'byHash') >= AIM.hash,
    },
  ]);
} finally {
  beside.close();
  await profile.close();
  server.close();
}
