// The page from a copy of what the relay serves, as an installed page would come: for tests in which the relay is away.

import { createServer } from 'node:http';

/** @typedef {{ body: Buffer, type: string }} File */

/**
 * Fetches the page with all that it names.
 * @param {string} url
 * @returns {Promise<Map<string, File>>} by path
 */
export async function pageOf(url) {
  /** @type {Map<string, File>} */
  const files = new Map();
  const wanted = ['/'];
  for (let path = wanted.shift(); path; path = wanted.shift()) {
    if (files.has(path)) continue;
    const response = await fetch(new URL(path, url));
    const type = response.headers.get('content-type') ?? 'application/octet-stream';
    if (!response.ok) continue; // what looked like a path was none
    const body = Buffer.from(await response.arrayBuffer());
    files.set(path, { body, type });
    if (!/html|javascript|css/.test(type)) continue;
    for (const [, named] of body.toString().matchAll(/["'(`]((?:\.?\/)?[\w./-]+\.(?:js|css|wasm|svg|woff2|png|webmanifest))["')`]/g)) {
      if (named) wanted.push(new URL(named, new URL(path, url)).pathname);
    }
  }
  return files;
}

/**
 * Serves the copy at the relay's port while the relay is off. There is no node behind it.
 * @param {number} port
 * @param {Map<string, File>} files
 * @returns {Promise<() => Promise<void>>} ends it
 */
export async function servePage(port, files) {
  const server = createServer((request, response) => {
    const file = files.get(new URL(request.url ?? '/', 'http://page').pathname);
    if (!file) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': file.type }).end(file.body);
  });
  server.on('upgrade', (_, socket) => socket.destroy());
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(undefined));
  });
  return async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  };
}
