// Runs the tests of a wasm-bindgen crate in a real Chromium, and prints one JSON line a test.
//
// The page's `countLeft(name): Promise<number>` counts the objects of one of the COUNTED kinds that are left after a
// collection.
//
// The crate exports `run(filter?: string): Promise<Array<{ name, ok, error? }>>`. Usage:
// run-browser-crate.mjs [--each-chromium] FOLDER [FILTER]

import { readFile, readdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { parseArgs } from 'node:util';

import { CHROMIUMS } from './chromium.mjs';
import { openProfile } from './profile.mjs';

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' };
/** The whole crate's longest time, in milliseconds. */
const LIMIT = process.env.LEDGERNO_LONG ? 3_600_000 : 600_000;

const { values, positionals } = parseArgs({ options: { 'each-chromium': { type: 'boolean' } }, allowPositionals: true });
const [folder = '.', filter] = positionals;
const script = (await readdir(folder)).find((name) => extname(name) === '.js');
if (!script) throw new Error(`${folder} holds no module.`);

/** What the page may count; by the classes that were there before a test changed them. */
const COUNTED = ['RTCPeerConnection', 'RTCDataChannel', 'Function'];

const HTML = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script>
  const counted = { ${COUNTED} };
</script><script type="module">
  import init, { run } from './${script}';
  window.outcome = init().then(() => run(${JSON.stringify(filter ?? null)} ?? undefined));
  window.outcome.catch(() => {});
</script>`;

const server = createServer(async (request, response) => {
  const path = new URL(request.url ?? '/', 'http://page').pathname;
  const name = path.slice(1);
  const known = path === '/' ? HTML : /^[\w.-]+$/.test(name) && (await readFile(join(folder, name)).catch(() => null));
  if (!known) return response.writeHead(404).end();
  response.writeHead(200, { 'content-type': TYPES[extname(name) || '.html'] ?? 'application/octet-stream' }).end(known);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));

for (const { named, args } of values['each-chromium'] ? CHROMIUMS : CHROMIUMS.slice(0, 1)) {
  for (const test of await tests(args)) console.log(JSON.stringify({ ...test, name: `${test.name}${named}` }));
}
server.close();

/** What the crate's tests say. @param {string[]} args of Chromium */
async function tests(args) {
  const profile = await openProfile(undefined, { args });
  const timer = setTimeout(() => {
    console.error(`The browser's tests did not end in ${LIMIT} ms.`);
    process.exit(1);
  }, LIMIT);
  try {
    const { page } = profile;
    await page.exposeFunction('countLeft', await counter(page));
    page.on('console', (message) => console.error(`  ${message.text()}`));
    page.on('pageerror', (error) => console.error(`  thrown: ${error.message}`));
    await page.goto(`http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}/`);
    await page.waitForFunction(() => 'outcome' in window);
    return await page.evaluate(async () => {
      const outcome = await /** @type {any} */ (window).outcome;
      return Array.from(outcome, ({ name, ok, error }) => ({ name, ok, error: error && String(error) }));
    });
  } finally {
    clearTimeout(timer);
    await profile.close();
  }
}

/** Counts what a page holds. @param {import('playwright-core').Page} page @returns {Promise<(name: string) => Promise<number>>} */
async function counter(page) {
  const session = await page.context().newCDPSession(page);
  return async (name) => {
    if (!COUNTED.includes(name)) throw new Error(`${name} is not counted.`);
    const objectGroup = 'counted';
    const expression = `counted.${name}.prototype`;
    const { result: prototype } = await session.send('Runtime.evaluate', { expression, objectGroup });
    await session.send('HeapProfiler.collectGarbage');
    const prototypeObjectId = prototype.objectId ?? '';
    const { objects } = await session.send('Runtime.queryObjects', { prototypeObjectId, objectGroup });
    const { result } = await session.send('Runtime.callFunctionOn', {
      objectId: objects.objectId,
      // The prototype of a class that extends this one is no object of it.
      functionDeclaration: "function () { return this.filter((one) => !Object.hasOwn(one, 'constructor')).length; }",
      returnByValue: true,
    });
    await session.send('Runtime.releaseObjectGroup', { objectGroup });
    return result.value;
  };
}
