// How many entries a second a page takes in, beside @noble/ed25519 checking the same signatures in the same page.

import { join } from 'node:path';

import { median, ms, report } from '../lib/measure.mjs';
import { openProfile } from '../lib/profile.mjs';
import { serve } from '../lib/serve.mjs';

const ENTRIES = 10_000;
const AUTHORS = 100;
const RUNS = 5;
/** Signatures that noble checks in a run: all of them in all runs. */
const PART = ENTRIES / RUNS;
/** How many times noble's rate. */
const AIM = 20;

const modules = process.env.LEDGERNO_BROWSER_TESTS;
if (!modules) throw new Error('LEDGERNO_BROWSER_TESTS names the module: run this by `cargo xtask bench`.');

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
  let ingest;
  window.bench = {
    prepare(entries, authors) {
      ingest = new Ingest(entries, authors);
    },
    ingest: () => ingest.run(travels),
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

const server = await serve(HTML, {
  module: modules,
  ed25519: join(import.meta.dirname, '../../node_modules/@noble/ed25519'),
  hashes: join(import.meta.dirname, '../../node_modules/@noble/hashes'),
});
const profile = await openProfile();
try {
  const { page } = profile;
  page.on('pageerror', (error) => console.error(`thrown: ${error.message}`));
  await page.goto(server.url);
  await page.waitForFunction(() => 'bench' in window);
  await page.evaluate(([entries, authors]) => /** @type {any} */ (window).bench.prepare(entries, authors), [ENTRIES, AUTHORS]);
  const ingest = () => page.evaluate(() => /** @type {any} */ (window).bench.ingest());
  const noble = (from, to) => page.evaluate(([from, to]) => /** @type {any} */ (window).bench.noble(from, to), [from, to]);
  // The browser compiles what runs often better: neither side's first run counts.
  const first = [await ingest(), await noble(0, PART)];
  // In turns, so that what else the machine does meets both.
  const [times, nobles] = [[], []];
  for (let run = 0; run < RUNS; run += 1) {
    times.push(await ingest());
    nobles.push(await noble(run * PART, (run + 1) * PART));
  }
  console.error(`ingest: ${ms(first[0])}, then ${times.map(ms).join(', ')}`);
  console.error(`noble, ${PART} signatures: ${ms(first[1])}, then ${nobles.map(ms).join(', ')}`);

  const rate = (1_000 * ENTRIES) / median(times);
  const noblesRate = (1_000 * PART) / median(nobles);
  const spread = `${ms(Math.min(...times))} to ${ms(Math.max(...times))}`;
  report([
    {
      what: `ingest of ${ENTRIES.toLocaleString('en')} entries by ${AUTHORS} authors in wasm (decode, hash, check, index, IndexedDB), median of ${RUNS} after a first`,
      value: `${Math.round(rate).toLocaleString('en')} a second (${spread} in all)`,
    },
    {
      what: '@noble/ed25519, the same signatures in the same page (`verify`, plain JavaScript, SHA-512 of @noble/hashes)',
      value: `${Math.round(noblesRate).toLocaleString('en')} a second`,
    },
    {
      what: "ingest beside noble's rate",
      value: `${(rate / noblesRate).toFixed(1)} times`,
      aim: `at least ${AIM} times`,
      met: rate / noblesRate >= AIM,
    },
  ]);
} finally {
  await profile.close();
  server.close();
}
