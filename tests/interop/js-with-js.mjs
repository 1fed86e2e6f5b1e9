// js-libp2p with itself: that the rig is right, before ours is tested with it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { inNode } from './lib/in-node.mjs';
import { connected, freshTopic, goDirect, openNode, servePage, startAt, startJsRelay } from './lib/rig.mjs';
import { DEADLINE, waitFor } from '../lib/wait.mjs';

const SIZES = [1, 100, 16_384, 65_536, 1_048_576];

/** @type {Awaited<ReturnType<typeof servePage>>} */
let site;
/** @type {Awaited<ReturnType<typeof startJsRelay>>} */
let relay;
/** @type {import('./lib/rig.mjs').PageNode} */
let ann;
/** @type {import('./lib/rig.mjs').PageNode} */
let ben;
let annPeer = '';
let benPeer = '';

before(async () => {
  site = await servePage();
  relay = await startJsRelay();
  ann = await openNode(site.url);
  ben = await openNode(site.url);
  const [one, other] = await Promise.all([startAt(ann, [relay.address]), startAt(ben, [relay.address])]);
  [annPeer, benPeer] = [one.peer, other.peer];
  await ann.call('dial', other.address.replace('/webrtc', ''));
  await connected(ann, benPeer, false);
  await goDirect({ node: ann, peer: annPeer }, { node: ben, ...other });
});
after(async () => {
  await Promise.all([ann?.close(), ben?.close(), relay?.stop()]);
  site?.close();
});

/** Both ways: who asks, and whom. */
const ways = () => /** @type {const} */ ([
  [ann, benPeer],
  [ben, annPeer],
]);

test('a circuit becomes a direct connection, seen by both', async () => {
  for (const [node, peer] of ways()) {
    const direct = await connected(node, peer, true);
    assert.equal(direct.limited, false);
    const relayed = await connected(node, peer, false);
    assert.equal(relayed.limited, true, 'a circuit with limits is a limited connection');
    assert.match(relayed.address, /\/p2p-circuit\//);
  }
});

for (const over of ['direct', 'relayed']) {
  for (const size of SIZES) {
    test(`${size} bytes come back, both ways, ${over}`, async () => {
      for (const [node, peer] of ways()) await node.call('echo', peer, size, over);
    });
  }

  test(`the answer to an ended stream comes, ${over}`, async () => {
    for (const [node, peer] of ways()) assert.equal(await node.call('halfClose', peer, 100_000, over), 100_000);
  });

  test(`a broken stream is seen as broken, ${over}`, async () => {
    for (const [node, peer] of ways()) assert.equal(await node.call('reset', peer, 'answerer', over), 'reset');
    for (const [node, peer, far] of [/** @type {const} */ ([ann, benPeer, ben]), /** @type {const} */ ([ben, annPeer, ann])]) {
      const before = await far.call('broken');
      assert.equal(await node.call('reset', peer, 'asker', over), 'aborted');
      await waitFor(async () => (await far.call('broken')) === before + 1, DEADLINE, 'the far side sees it');
    }
  });

  test(`bytes of one stream are counted, ${over}`, async () => {
    for (const [node, peer] of ways()) {
      assert.ok((await node.call('perf', peer, { up: 300_000, down: 10 }, over)) > 0);
      assert.ok((await node.call('perf', peer, { up: 0, down: 300_000 }, over)) > 0);
    }
  });
}

test('ping answers', async () => {
  for (const [node, peer] of ways()) assert.ok((await node.call('ping', peer)) >= 0);
});

test('a node in Node reaches the relay by WebSocket, and a page by its circuit', async (t) => {
  const cas = await inNode(t, [relay.address]);
  assert.ok((await cas.ping(relay.peer)) >= 0);
  for (const size of SIZES) await cas.echo(relay.peer, size);
  assert.equal(await cas.halfClose(relay.peer, 100_000), 100_000);
  assert.equal(await cas.reset(relay.peer, 'answerer'), 'reset');
  await cas.dial(`${relay.address}/p2p-circuit/p2p/${annPeer}`);
  for (const size of SIZES) await cas.echo(annPeer, size, 'relayed');
});

test('an anonymous message comes by GossipSub, both ways, and without the relay too', async () => {
  const topic = freshTopic();
  for (const node of [ann, ben]) await node.call('subscribe', topic);
  for (const [node, peer] of ways()) {
    await waitFor(async () => (await node.call('subscribers', topic)).includes(peer), DEADLINE, 'the other subscribed');
  }
  const arrives = async (from, to, text) => {
    await from.call('publish', topic, text);
    const data = Buffer.from(text).toString('hex');
    const all = () => to.call('messages').then((all) => all.filter((one) => one.topic === topic && one.data === data));
    await waitFor(async () => (await all()).length > 0, DEADLINE, text);
    assert.equal((await all()).length, 1, 'once');
  };
  await arrives(ann, ben, 'from Ann');
  await arrives(ben, ann, 'from Ben');
  await relay.stop();
  await arrives(ann, ben, 'the relay is gone');
  await arrives(ben, ann, 'so it is');
});
