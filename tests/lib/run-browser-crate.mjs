// Runs the tests of a wasm-bindgen crate in a real Chromium, and prints one JSON line a test.
//
// The crate exports `run(filter?: string): Promise<Array<{ name, ok, error? }>>`. Usage: run-browser-crate.mjs FOLDER [FILTER]

import { readFile, readdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';

import { openProfile } from './profile.mjs';

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' };
/** The whole crate's longest time, in milliseconds. */
const LIMIT = process.env.LEDGERNO_LONG ? 3_600_000 : 600_000;

const [folder = '.', filter] = process.argv.slice(2);
const script = (await readdir(folder)).find((name) => extname(name) === '.js');
if (!script) throw new Error(`${folder} holds no module.`);

const HTML = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module">
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

const profile = await openProfile();
try {
  const { page } = profile;
  page.on('console', (message) => console.error(`  ${message.text()}`));
  page.on('pageerror', (error) => console.error(`  thrown: ${error.message}`));
  await page.goto(`http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}/`);
  const timer = setTimeout(() => {
    console.error(`The browser's tests did not end in ${LIMIT} ms.`);
    process.exit(1);
  }, LIMIT);
  await page.waitForFunction(() => 'outcome' in window);
  const tests = await page.evaluate(async () => {
    const outcome = await /** @type {any} */ (window).outcome;
    return Array.from(outcome, ({ name, ok, error }) => ({ name, ok, error: error && String(error) }));
  });
  clearTimeout(timer);
  for (const test of tests) console.log(JSON.stringify(test));
} finally {
  await profile.close();
  server.close();
}
