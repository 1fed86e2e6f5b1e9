// The page's script for ours: the same calls through `window.interop` as those of js-libp2p's page, as far as there is a
// like. The module is served as `/ours/ledgerno_interop.js`.

import { BREAKS } from './protocols.mjs';

/** A page keeps no more of them than this. */
const MESSAGES = 10_000;
const DIAL_MS = 30_000;

/** One clock for all processes of this machine, in ms. */
const clock = () => performance.timeOrigin + performance.now();

/** @param {Uint8Array} bytes */
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

const isDirect = (address) => address === '/webrtc';

/** @param {string} address `/ip4/…/tcp/…/ws/p2p/…` */
function relayOf(address) {
  const [, host = '', port = '', peer = ''] = /^\/ip4\/([\d.]+)\/tcp\/(\d+)\/ws\/p2p\/(\w+)/.exec(address) ?? [];
  return { url: `ws://${host}:${port}/`, peer };
}

/** @param {any[]} list @param {any} one */
function keep(list, one) {
  if (list.length >= MESSAGES) list.shift();
  list.push(one);
}

/**
 * Starts a node.
 * @param {{ Ours: any, Name: any }} module
 * @param {{ relays?: string[], first?: boolean, direct?: boolean, signed?: boolean }} options
 *   first: it begins with those that are not first; direct: whether it makes direct links; signed: whether messages are signed
 *   by who writes them, and checked
 */
function startNode({ Ours, Name }, { relays = [], first = false, direct = true, signed = false }) {
  /** How each peer is linked now. @type {Map<string, string>} */
  const links = new Map();
  /** @type {Map<string, Set<string>>} */
  const topics = new Map();
  /** @type {{ topic: string, data: string, at: number }[]} */
  const messages = [];
  /** @type {{ peer: string, address: string, direct: boolean, at: number }[]} */
  const opened = [];
  /** @type {{ peer: string, why: string, at: number }[]} */
  const failed = [];
  /** Called at each event, and gone when they answer true. @type {Set<() => boolean>} */
  const waiting = new Set();

  /** Topics as the module has them. @type {Map<string, any>} */
  const names = new Map();
  const name = (topic) => names.get(topic) ?? names.set(topic, new Name(topic)).get(topic);

  const heard = {
    linked(peer, address) {
      links.set(peer, address);
      keep(opened, { peer, address, direct: isDirect(address), at: clock() });
    },
    gone(peer) {
      links.delete(peer);
      topics.delete(peer);
    },
    subscribed: (peer, topic) => topics.set(peer, (topics.get(peer) ?? new Set()).add(topic)),
    unsubscribed: (peer, topic) => topics.get(peer)?.delete(topic),
    message(topic, bytes) {
      const at = clock();
      keep(messages, { topic, data: hex(bytes), at });
    },
    failed: (peer, why) => keep(failed, { peer, why, at: clock() }),
  };
  const node = new Ours(first, direct, signed, (what, who, detail) => {
    heard[what](who, detail);
    for (const wait of waiting) if (wait()) waiting.delete(wait);
  });
  /** @param {() => boolean} condition */
  const until = (condition, patience, what) =>
    new Promise((resolve, reject) => {
      if (condition()) return resolve(undefined);
      const wait = () => condition() && (clearTimeout(timer), resolve(undefined), true);
      const timer = setTimeout(() => {
        waiting.delete(wait);
        reject(new Error(`Did not come in ${patience} ms: ${what}; ${JSON.stringify({ links: [...links], failed })}`));
      }, patience);
      waiting.add(wait);
    });
  const over = (peer, wanted) => {
    const address = links.get(peer);
    if (address === undefined) throw new Error(`There is no link to ${peer}.`);
    if (wanted && isDirect(address) !== (wanted === 'direct')) throw new Error(`${peer} is linked by ${address}.`);
    return peer;
  };
  const subscribers = (topic) => [...topics].filter(([, all]) => all.has(topic)).map(([peer]) => peer);
  for (const relay of relays.map(relayOf)) node.dial(relay.url, relay.peer);

  return {
    peerId: () => node.peer(),
    /** Where others reach it, as it knows itself. */
    multiaddrs: () =>
      relays
        .filter((relay) => links.has(relayOf(relay).peer))
        .flatMap((relay) => ['', ...(direct ? ['/webrtc'] : [])].map((way) => `${relay}/p2p-circuit${way}/p2p/${node.peer()}`)),
    /** Links to a relay, or seeks a friend and waits for its link: `…/p2p-circuit/p2p/…`, `…/p2p-circuit/webrtc/p2p/…`. */
    async dial(address, patience = DIAL_MS) {
      const begin = clock();
      const [, webrtc = '', friend = ''] = /\/p2p-circuit(\/webrtc)?\/p2p\/(\w+)$/.exec(address) ?? [];
      const { url, peer } = relayOf(address);
      if (friend) node.seek(friend);
      else node.dial(url, peer);
      const wanted = () => links.has(friend || peer) && (!webrtc || isDirect(links.get(friend) ?? ''));
      await until(wanted, patience, `a link by ${address}`);
      return { address: links.get(friend || peer), begin, end: clock() };
    },
    /** Seeks a friend without waiting. */
    seek: (peer) => node.seek(peer),
    connections: () => [...links].map(([peer, address]) => ({ peer, address, direct: isDirect(address), limited: false })),
    opened: () => opened,
    /** What did not come about. */
    failed: () => failed,
    /** All of a peer's links, whatever the kind. */
    hangUp(peer) {
      const begin = clock();
      node.disconnect(peer);
      return { begin };
    },
    /** A topic that the relay hands on, from now on. */
    register: (relay, token) => node.register(relay, token),
    ping: (peer) => node.ping(peer),
    echo: (peer, count, way) => node.echo(over(peer, way), count),
    halfClose: (peer, count, way) => node.half_close(over(peer, way), count),
    reset: (peer, who, way) => node.reset(over(peer, way), BREAKS[who]),
    perf: (peer, { up, down }, way) => node.perf(over(peer, way), up, down),
    broken: () => node.broken(),
    subscribe: (topic) => node.subscribe(name(topic)),
    unsubscribe: (topic) => node.unsubscribe(name(topic)),
    async publish(topic, text) {
      const at = clock();
      const recipients = subscribers(topic).length;
      node.publish(name(topic), new TextEncoder().encode(text));
      return { at, recipients };
    },
    /** See `node.mjs`. */
    async publishMany(topic, { count, size, gap }) {
      const [to, sent] = [name(topic), []];
      for (let number = 0; number < count; number += 1) {
        const text = new TextEncoder().encode(`${number} `.padEnd(size, '.'));
        const pause = new Promise((resolve) => setTimeout(resolve, gap));
        sent.push(clock());
        node.publish(to, text);
        await pause;
      }
      return sent;
    },
    subscribers,
    /** What this node publishes goes to all who subscribe. */
    mesh: subscribers,
    /** By which kind of link messages for a peer leave. */
    speaks: (peer) => links.get(peer) && (isDirect(links.get(peer)) ? 'direct' : 'relayed'),
    messages: () => messages,
  };
}

const page = {
  /** When the script ran, and when the node stood; ms since the page's load. */
  times: { script: performance.now(), started: 0 },
  failed: '',
  async start(options = {}) {
    const url = '/ours/ledgerno_interop.js';
    const module = await import(/* @vite-ignore */ url);
    await module.default();
    const node = startNode(module, options);
    page.times.started = performance.now();
    Object.assign(page, node);
    return node.peerId();
  },
};
/** @type {any} */ (window).interop = page;

const wish = decodeURIComponent(location.hash.slice(1));
if (wish) {
  const { start, dial } = JSON.parse(wish);
  page
    .start(start)
    .then(() => Promise.all((start.relays ?? []).map((relay) => /** @type {any} */ (page).dial(relay))))
    .then(() => dial && /** @type {any} */ (page).dial(dial))
    .catch((error) => {
      page.failed = String(error?.stack ?? error);
    });
}
