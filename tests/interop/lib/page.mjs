// The page's script: a js-libp2p node with WebRTC, told what to do through `window.interop`.
//
// With `#<JSON>` in its address it starts by itself, and dials: what a measurement from the page's load needs.

import { webRTC } from '@libp2p/webrtc';

import { startNode } from './node.mjs';

/** @type {Awaited<ReturnType<typeof startNode>> | undefined} */
let node;

const page = {
  /** When the script ran, and when the node stood; ms since the page's load. */
  times: { script: performance.now(), started: 0 },
  failed: '',
  /**
   * @param {import('./node.mjs').Options & { iceServers?: RTCIceServer[] }} options
   *   no ICE servers unless named: nothing here may look for one outside
   */
  async start({ iceServers = [], listen = [], ...options } = {}) {
    if (node) throw new Error('It has started already.');
    node = await startNode({
      ...options,
      listen: ['/webrtc', ...listen],
      transports: [webRTC({ rtcConfiguration: { iceServers } })],
    });
    page.times.started = performance.now();
    const { node: libp2p, ...calls } = node;
    Object.assign(page, calls, { libp2p });
    return node.peerId();
  },
};
/** @type {any} */ (window).interop = page;

const wish = decodeURIComponent(location.hash.slice(1));
if (wish) {
  const { start, dial } = JSON.parse(wish);
  page
    .start(start)
    .then(() => dial && node?.dial(dial))
    .catch((error) => {
      page.failed = String(error?.stack ?? error);
    });
}
