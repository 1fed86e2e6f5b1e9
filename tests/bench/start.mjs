// How soon a page that was away can draw a circle of 100,000 entries, and how much memory it holds then.
//
// A first page fills a database by the shipped engine and store, settled in headers of 20 entries; each run is a fresh
// page that starts from it. The clock runs from the module being ready: database, reading, engine, the first 100 entries.

import { median, ms, report } from '../lib/measure.mjs';
import { openProfile } from '../lib/profile.mjs';
import { serve } from '../lib/serve.mjs';

const ENTRIES = Number(process.env.LEDGERNO_ENTRIES ?? 100_000);
const AUTHORS = 100;
const RUNS = 7;
const AIM_MS = 250;
const AIM_MB = 64;
const NAME = 'start';

const modules = process.env.LEDGERNO_BROWSER_TESTS;
if (!modules) throw new Error('LEDGERNO_BROWSER_TESTS names the module: run this by `cargo xtask bench`.');

const HTML = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module">
  import init, { Started, fill } from './module/ledgerno_browser_tests.js';
  await init();
  window.bench = {
    fill,
    async open(name) {
      const begin = performance.now();
      window.started = await Started.open(name);
      return { time: performance.now() - begin, steps: [...window.started.times()], entries: window.started.entries() };
    },
    memory: () => window.started.memory(),
  };
</script>`;

const server = await serve(HTML, { module: modules });
const profile = await openProfile();

async function freshPage() {
  const page = await profile.newTab();
  page.on('pageerror', (error) => console.error(`thrown: ${error.message}`));
  await page.goto(server.url);
  await page.waitForFunction(() => 'bench' in window);
  return page;
}

/** How long the page's thread has worked, in milliseconds: what else the machine does is not in it. */
async function worked(devtools) {
  const { metrics } = await devtools.send('Performance.getMetrics');
  return 1_000 * (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? 0);
}

/** Megabytes (10^6 bytes): the module's memory, and the page's JavaScript heap once what is no longer used is gone. */
async function memory(page, devtools) {
  await devtools.send('HeapProfiler.collectGarbage');
  const heap = await devtools.send('Runtime.getHeapUsage');
  const wasm = await page.evaluate(() => /** @type {any} */ (window).bench.memory());
  return { wasm: wasm / 1e6, heap: (heap.usedSize + (heap.embedderHeapUsedSize ?? 0)) / 1e6 };
}

try {
  const first = await freshPage();
  await first.evaluate(
    ([name, entries, authors]) => /** @type {any} */ (window).bench.fill(name, entries, authors),
    /** @type {const} */ ([NAME, ENTRIES, AUTHORS]),
  );
  await first.close();
  const [times, works, held] = [[], [], []];
  for (let run = 0; run < RUNS; run += 1) {
    const page = await freshPage();
    const devtools = await page.context().newCDPSession(page);
    await devtools.send('Performance.enable', { timeDomain: 'threadTicks' });
    const before = await worked(devtools);
    const { time, steps, entries } = await page.evaluate((name) => /** @type {any} */ (window).bench.open(name), NAME);
    const work = (await worked(devtools)) - before;
    if (entries !== ENTRIES) throw new Error(`${entries} entries are there of ${ENTRIES}`);
    const { wasm, heap } = await memory(page, devtools);
    console.error(`start: ${ms(time)} (${steps.map(ms).join(', ')}), of it ${ms(work)} work; ${wasm.toFixed(1)} MB of module, ${heap.toFixed(1)} MB of heap`);
    times.push(time);
    works.push(work);
    held.push(wasm + heap);
    await page.close();
  }
  const count = ENTRIES.toLocaleString('en');
  const most = Math.max(...held);
  report([
    {
      what: `start with ${count} stored entries until the timeline can be drawn, median of ${RUNS} fresh pages`,
      value: `${ms(median(times))} (at most ${ms(Math.max(...times))})`,
      aim: `at most ${AIM_MS} ms`,
      met: median(times) <= AIM_MS,
    },
    { what: 'of that, time that the page’s thread worked, median', value: ms(median(works)) },
    {
      what: `memory behind them: the module's and the page's heap, the most of ${RUNS}`,
      value: `${most.toFixed(1)} MB`,
      aim: `at most ${AIM_MB} MB`,
      met: most <= AIM_MB,
    },
  ]);
} finally {
  await profile.close();
  server.close();
}
