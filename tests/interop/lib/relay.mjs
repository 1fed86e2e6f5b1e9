// A js-libp2p relay in Node, as a program: WebSocket, circuit relay, GossipSub, identify, ping. It says where it is in one
// line, `relay: <multiaddr>`, and ends with its standard input.

import './node-20.mjs';

import { circuitRelayServer } from '@libp2p/circuit-relay-v2';
import { identify, identifyPush } from '@libp2p/identify';
import { ping } from '@libp2p/ping';
import { webSockets } from '@libp2p/websockets';
import { createLibp2p } from 'libp2p';

import { anonymousGossip, common } from './node.mjs';
import { answer } from './protocols.mjs';

const PORT = Number(process.argv[2] ?? 0);
const TOPICS = 100;

const node = await createLibp2p({
  ...common(),
  addresses: { listen: [`/ip4/127.0.0.1/tcp/${PORT}/ws`] },
  transports: [webSockets()],
  services: {
    identify: identify(),
    identifyPush: identifyPush(),
    ping: ping(),
    pubsub: anonymousGossip(),
    // Limits that no test reaches. They are there, so that a circuit counts as a limited connection, as in the field.
    relay: circuitRelayServer({
      reservations: { maxReservations: 1_000, defaultDurationLimit: 60 * 60 * 1_000, defaultDataLimit: 1n << 32n },
    }),
  },
});
await answer(node);

// It forwards what its guests talk about.
const pubsub = /** @type {any} */ (node.services.pubsub);
pubsub.addEventListener('subscription-change', ({ detail }) => {
  for (const { topic, subscribe } of detail.subscriptions) {
    if (subscribe && pubsub.getTopics().length < TOPICS) pubsub.subscribe(topic);
  }
});

console.log(`relay: ${node.getMultiaddrs()[0]}`);
process.stdin.resume().once('end', () => node.stop().then(() => process.exit(0)));
