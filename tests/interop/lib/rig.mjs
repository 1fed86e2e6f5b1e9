// Starts the others' side: js-libp2p in pages and in Node. Everything is on the loopback, and ends with what started it.

import { spawn } from 'node:child_process';
import { join } from 'node:path';

import { build } from 'vite';

import { openProfile } from '../../lib/profile.mjs';
import { freshFolder, startRelay } from '../../lib/relay.mjs';
import { serve } from '../../lib/serve.mjs';
import { DEADLINE, waitFor } from '../../lib/wait.mjs';

/** With `?ours` it is ours, else js-libp2p. */
const HTML = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module">
  await import(location.search === '?ours' ? '/js/ours.js' : '/js/page.js');
</script>`;
const LOG_KEPT = 64 * 1024;

const running = new Set();
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** Bundles both pages into a folder that goes when the tests end, and serves them; ours only if it was built. */
export async function servePage() {
  const outDir = freshFolder('interop');
  await build({
    configFile: false,
    publicDir: false,
    logLevel: 'warn',
    build: {
      outDir,
      emptyOutDir: true,
      target: 'es2022',
      reportCompressedSize: false,
      // A library keeps its blanks by default; what is measured is to be as people serve it.
      rolldownOptions: { output: { minify: true } },
      lib: {
        entry: { page: join(import.meta.dirname, 'page.mjs'), ours: join(import.meta.dirname, 'ours.mjs') },
        formats: ['es'],
        fileName: (_, name) => `${name}.js`,
      },
    },
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  const { url, close } = await serve(HTML, { js: outDir, ours: process.env.LEDGERNO_INTEROP ?? '' });
  return { url, ours: `${url}?ours`, close };
}

/** Our relay, open to others. js-libp2p in this process is asked who it is. */
export async function startOurRelay(options = {}) {
  const relay = await startRelay({ args: ['--open'], ...options });
  const at = `/ip4/127.0.0.1/tcp/${relay.port}/ws`;
  const { whoIs } = await import('./in-node.mjs');
  const peer = await whoIs(at);
  return { ...relay, peer, address: `${at}/p2p/${peer}` };
}

/** The js-libp2p relay. @param {number} [port] 0: any free one */
export async function startJsRelay(port = 0) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'relay.mjs'), String(port)], { stdio: ['pipe', 'pipe', 'pipe'] });
  running.add(child);
  const exited = new Promise((resolve) => child.once('exit', resolve));
  let log = '';
  let ended = false;
  exited.then(() => {
    ended = true;
    running.delete(child);
  });
  const read = (chunk) => {
    log = (log + chunk).slice(-LOG_KEPT);
  };
  child.stdout.setEncoding('utf8').on('data', read);
  child.stderr.setEncoding('utf8').on('data', read);
  child.stdin.on('error', () => undefined); // it ended before it was told to
  const found = await waitFor(() => /^relay: (\S+)$/m.exec(log) || ended, DEADLINE, 'the js-libp2p relay starts');
  if (found === true) throw new Error(`The js-libp2p relay ended. It said:\n${log}`);
  const address = found[1] ?? '';
  return {
    address,
    peer: address.split('/').at(-1) ?? '',
    pid: child.pid,
    log: () => log,
    async stop() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/**
 * A page with a node of js-libp2p in a browser process of its own.
 * @param {string} url where the page is
 * @param {{ args?: string[], hash?: object }} [options] hash: see page.mjs
 */
export async function openNode(url, { args = [], hash } = {}) {
  const profile = await openProfile(undefined, { args });
  const { page } = profile;
  const load = async (wish) => {
    await page.goto('about:blank'); // else only the hash would change
    await page.goto(wish ? `${url}#${encodeURIComponent(JSON.stringify(wish))}` : url);
    await page.waitForFunction(() => 'interop' in window);
  };
  await load(hash);
  return {
    page,
    said: profile.said,
    /** Loads the page anew. */
    load,
    /** Calls what `window.interop` offers. @param {string} what @param {any[]} args */
    call: (what, ...args) => page.evaluate(([what, args]) => /** @type {any} */ (window).interop[what](...args), /** @type {const} */ ([what, args])),
    close: () => profile.close(),
  };
}

/** @typedef {Awaited<ReturnType<typeof openNode>>} PageNode */

/**
 * Starts the node at relays, and waits until it is reachable there; answers where: by WebRTC if it makes direct links.
 * @param {PageNode} node @param {string[]} relays
 */
export async function startAt(node, relays, { direct = true, ...options } = {}) {
  const peer = await node.call('start', { relays, direct, ...options });
  const way = direct ? '/p2p-circuit/webrtc' : '/p2p-circuit';
  const reached = async () => (await node.call('multiaddrs')).find((one) => one.includes(way));
  return { peer, address: await waitFor(reached, DEADLINE, 'a reservation') };
}

/** Waits until a connection of a kind stands. @param {PageNode} node @param {boolean} direct */
export const connected = (node, peer, direct = true) =>
  waitFor(
    async () => (await node.call('connections')).find((one) => one.peer === peer && one.direct === direct),
    DEADLINE,
    `a ${direct ? 'direct' : 'relayed'} connection to ${peer}`,
  );

const TRIES = 3;
const PATIENCE = 10_000;

/**
 * Dials by WebRTC until both have a direct connection. Between two nodes of js-libp2p a dial hangs now and then: the answerer
 * closes the channel `init` before the initiator, who waits for that channel to open, has seen it open.
 * @param {{ node: PageNode, peer: string }} from @param {{ node: PageNode, peer: string, address: string }} to
 */
export async function goDirect(from, to, tries = TRIES) {
  for (let tried = 1; ; tried += 1) {
    try {
      await from.node.call('dial', to.address, PATIENCE);
      break;
    } catch (error) {
      if (tried === tries) throw error;
      await Promise.all([from.node.call('hangUp', to.peer, 'direct'), to.node.call('hangUp', from.peer, 'direct')]);
    }
  }
  await Promise.all([connected(from.node, to.peer), connected(to.node, from.peer)]);
}

/** A topic as ours are: 64 hexadecimal digits. */
export const freshTopic = () => Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('hex');
