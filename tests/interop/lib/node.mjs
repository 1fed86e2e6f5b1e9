// A js-libp2p node as these tests need it, in Node or in a page.

import { circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import { StrictNoSign, StrictSign, gossipsub } from '@libp2p/gossipsub';
import { identify, identifyPush } from '@libp2p/identify';
import { noise } from '@libp2p/noise';
import { peerIdFromString } from '@libp2p/peer-id';
import { ping } from '@libp2p/ping';
import { webSockets } from '@libp2p/websockets';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';

import { ECHO, HALF_CLOSE, PERF, RESET, answer, askEcho, askHalfClose, askPerf, askReset } from './protocols.mjs';

/** A page keeps no more of them than this. */
const MESSAGES = 10_000;
const DIAL_MS = 30_000;

/** One clock for all processes of this machine, in ms. */
const clock = () => performance.timeOrigin + performance.now();

/** @param {Uint8Array} bytes */
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/**
 * Messages are anonymous, as this project's are: their id is the hash of their content, whichever hash a node takes.
 * @param {Partial<import('@libp2p/gossipsub').GossipsubOpts>} [options]
 */
export const anonymousGossip = (options = {}) =>
  gossipsub({ globalSignaturePolicy: StrictNoSign, allowPublishToZeroTopicPeers: true, ...options });

/** What every node here has. */
export const common = () => ({
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  // In a browser js-libp2p dials neither private addresses nor plain WebSockets by itself.
  connectionGater: { denyDialMultiaddr: () => false },
  connectionManager: { dialTimeout: DIAL_MS, inboundUpgradeTimeout: DIAL_MS },
});

/** @param {import('@libp2p/interface').Connection} connection */
const isDirect = (connection) => /\/webrtc(\/|$)/.test(connection.remoteAddr.toString());

/**
 * @typedef {object} Options
 * @property {string[]} [relays] each the address of a relay, `/ip4/…/tcp/…/ws/p2p/…`: reached by its circuit
 * @property {boolean} [signed] messages are signed by who writes them, and checked, as js-libp2p does by itself
 * @property {boolean} [gossipOnCircuits] GossipSub on limited connections too; js-libp2p does not by itself
 * @property {((components: any) => any)[]} [transports] further ones, before the usual
 * @property {string[]} [listen] further addresses
 */

/**
 * Starts a node; every call takes and gives what JSON can carry, so that a test can make it in a page.
 * @param {Options} [options]
 */
export async function startNode({ relays = [], signed = false, gossipOnCircuits = false, transports = [], listen = [] } = {}) {
  const node = await createLibp2p({
    ...common(),
    addresses: { listen: [...relays.map((relay) => `${relay}/p2p-circuit`), ...listen] },
    transports: [...transports, circuitRelayTransport(), webSockets()],
    services: {
      identify: identify(),
      identifyPush: identifyPush(),
      ping: ping(),
      pubsub: anonymousGossip({
        runOnLimitedConnection: gossipOnCircuits,
        ...(signed ? { globalSignaturePolicy: StrictSign } : {}),
      }),
    },
  });
  const seen = await answer(node);
  const pubsub = /** @type {any} */ (node.services.pubsub);
  /** @type {{ topic: string, data: string, at: number }[]} */
  const messages = [];
  pubsub.addEventListener('message', ({ detail }) => {
    const at = clock();
    messages.push({ topic: detail.topic, data: hex(detail.data), at });
    if (messages.length > MESSAGES) messages.shift();
  });
  /** @type {{ peer: string, address: string, direct: boolean, at: number }[]} */
  const opened = [];
  node.addEventListener('connection:open', ({ detail }) => {
    if (opened.length >= MESSAGES) opened.shift();
    opened.push({ peer: detail.remotePeer.toString(), address: detail.remoteAddr.toString(), direct: isDirect(detail), at: clock() });
  });

  const to = (peer) => node.getConnections(peerIdFromString(peer)).filter(({ status }) => status === 'open');
  /** @param {string} peer @param {'direct' | 'relayed' | undefined} over */
  const stream = (peer, protocol, over) => {
    const all = to(peer);
    const chosen = over ? all.find((one) => isDirect(one) === (over === 'direct')) : (all.find(isDirect) ?? all[0]);
    if (!chosen) throw new Error(`There is no ${over ?? ''} connection to ${peer}.`);
    return chosen.newStream(protocol, { runOnLimitedConnection: true });
  };

  return {
    node,
    peerId: () => node.peerId.toString(),
    /** Where others reach it. */
    multiaddrs: () => node.getMultiaddrs().map(String),
    /** Connects, though it may be connected already; answers the remote address, and by one clock for the machine from when until when. */
    async dial(address, patience = DIAL_MS) {
      const begin = clock();
      const connection = await node.dial(multiaddr(address), { signal: AbortSignal.timeout(patience), force: true });
      return { address: connection.remoteAddr.toString(), begin, end: clock() };
    },
    /** All open connections. `limited` ones carry only what was allowed to run on them. */
    connections: () =>
      node.getConnections().map((one) => ({
        peer: one.remotePeer.toString(),
        address: one.remoteAddr.toString(),
        direct: isDirect(one),
        limited: one.limits != null,
        direction: one.direction,
      })),
    /** Every connection that ever opened, by one clock for the machine. */
    opened: () => opened,
    /** Closes the connections of one kind, or all. @param {'direct' | 'relayed'} [over] */
    async hangUp(peer, over) {
      const chosen = to(peer).filter((one) => !over || isDirect(one) === (over === 'direct'));
      await Promise.all(chosen.map((one) => one.close()));
    },
    /** What identify told of a peer. */
    async knows(peer) {
      const { protocols, metadata } = await node.peerStore.get(peerIdFromString(peer));
      const agent = metadata.get('AgentVersion');
      return { protocols, agent: agent && new TextDecoder().decode(agent) };
    },
    /** The round trip by js-libp2p's own ping, in whole ms: 0 on the loopback. */
    ping: (peer) => /** @type {any} */ (node.services.ping).ping(peerIdFromString(peer)),
    echo: async (peer, count, over) => askEcho(await stream(peer, ECHO, over), count),
    halfClose: async (peer, count, over) => askHalfClose(await stream(peer, HALF_CLOSE, over), count),
    reset: async (peer, who, over) => askReset(await stream(peer, RESET, over), who),
    perf: async (peer, bytes, over) => askPerf(await stream(peer, PERF, over), bytes),
    /** How many streams others broke. */
    broken: () => seen.broken,
    subscribe: (topic) => pubsub.subscribe(topic),
    unsubscribe: (topic) => pubsub.unsubscribe(topic),
    /** Publishes the text; answers when, by one clock for the machine, and to how many. */
    async publish(topic, text) {
      const at = clock();
      const { recipients } = await pubsub.publish(topic, new TextEncoder().encode(text));
      return { at, recipients: recipients.length };
    },
    /**
     * Publishes texts of `size` bytes, each beginning with its number and a space, one every `gap` ms.
     * @returns {Promise<number[]>} when each was given to publish, by one clock for the machine
     */
    async publishMany(topic, { count, size, gap }) {
      const sent = [];
      for (let number = 0; number < count; number += 1) {
        const text = new TextEncoder().encode(`${number} `.padEnd(size, '.'));
        // Begun before, so that its own time is none of what is measured.
        const pause = new Promise((resolve) => setTimeout(resolve, gap));
        sent.push(clock());
        await pubsub.publish(topic, text);
        await pause;
      }
      return sent;
    },
    subscribers: (topic) => pubsub.getSubscribers(topic).map(String),
    mesh: (topic) => pubsub.getMeshPeers(topic),
    /** By which kind of connection messages for a peer leave; nothing: they are lost, for its stream is still being opened. */
    speaks(peer) {
      const stream = pubsub.streamsOutbound.get(peer)?.rawStream;
      const by = stream && to(peer).find(({ streams }) => streams.includes(stream));
      return by && (isDirect(by) ? 'direct' : 'relayed');
    },
    /** What came, oldest first, its data in hexadecimal. */
    messages: () => messages,
    stop: () => node.stop(),
  };
}
