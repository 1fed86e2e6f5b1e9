// A web server for test pages: one HTML, and files of named folders.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';

/** With these a page's clock ticks every 5 µs in place of 100. */
const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };
const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm' };

/**
 * Serves `html` at `/`, and each folder's files below its name: `{ pkg: folder }` as `/pkg/…`.
 * @param {string} html @param {Record<string, string>} folders
 */
export async function serve(html, folders) {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://page').pathname;
    if (path === '/') return response.writeHead(200, { ...ISOLATED, 'content-type': 'text/html' }).end(html);
    const [, name = '', file = ''] = /^\/([\w-]+)\/([\w.-]+)$/.exec(path) ?? [];
    const folder = folders[name];
    const bytes = folder && (await readFile(join(folder, file)).catch(() => null));
    if (!bytes) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(bytes);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return { url: `http://127.0.0.1:${port}/`, close: () => server.close() };
}
