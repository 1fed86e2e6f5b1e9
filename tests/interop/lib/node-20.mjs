// js-libp2p is made for Node 22: what Node 20 lacks of it. Imported before all else.

import { WebSocket } from 'ws';

globalThis.WebSocket ??= /** @type {any} */ (WebSocket);
// @ts-expect-error the types of Node 20 do not know it
Promise.withResolvers ??= function withResolvers() {
  /** @type {(value: any) => void} */
  let resolve = () => {};
  /** @type {(reason: any) => void} */
  let reject = () => {};
  const promise = new Promise((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
};
