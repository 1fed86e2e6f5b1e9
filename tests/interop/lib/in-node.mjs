// js-libp2p in the test's own process: WebSocket and circuits, no WebRTC.

import './node-20.mjs';

import { multiaddr } from '@multiformats/multiaddr';

import { startNode } from './node.mjs';

/** A node that stops with the test. @param {import('node:test').TestContext} t @param {string[]} relays */
export async function inNode(t, relays) {
  const node = await startNode({ relays });
  t.after(() => node.stop());
  return node;
}

/** Who answers at an address. @param {string} address @returns {Promise<string>} */
export async function whoIs(address) {
  const { node, stop } = await startNode();
  try {
    return (await node.dial(multiaddr(address))).remotePeer.toString();
  } finally {
    await stop();
  }
}
