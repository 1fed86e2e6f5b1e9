// js-libp2p and ours, each in a page of its own, at our relay: every stream, message and ping both ways, whoever offered.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { inNode } from './lib/in-node.mjs';
import { connected, freshTopic, goDirect, openNode, servePage, startAt, startOurRelay } from './lib/rig.mjs';
import { CHROMIUMS } from '../lib/chromium.mjs';
import { DEADLINE, waitFor } from '../lib/wait.mjs';

const SIZES = [1, 100, 16_384, 65_536, 1_048_576];

/** @typedef {{ node: import('./lib/rig.mjs').PageNode, peer: string, address: string }} Side */

/** @type {Awaited<ReturnType<typeof servePage>>} */
let site;
before(async () => {
  site = await servePage();
});
after(() => site?.close());

/** @param {Awaited<ReturnType<typeof startOurRelay>>} relay @returns {Promise<Side>} */
async function open(url, relay, { args = [], ...options } = {}) {
  const node = await openNode(url, { args });
  return { node, ...(await startAt(node, [relay.address], options)) };
}

/** Every stream both ways. @param {() => [Side, Side]} pair */
function streams(pair, over) {
  /** Who asks, and whom. */
  const ways = () => {
    const [one, other] = pair();
    return /** @type {[Side, Side][]} */ ([
      [one, other],
      [other, one],
    ]);
  };

  for (const size of SIZES) {
    test(`${size} bytes come back, both ways`, async () => {
      for (const [from, to] of ways()) await from.node.call('echo', to.peer, size, over);
    });
  }

  test('the answer to an ended stream comes, both ways', async () => {
    for (const [from, to] of ways()) assert.equal(await from.node.call('halfClose', to.peer, 100_000, over), 100_000);
  });

  test('a broken stream is seen as broken, whoever breaks it', async () => {
    for (const [from, to] of ways()) {
      assert.equal(await from.node.call('reset', to.peer, 'answerer', over), 'reset');
      const before = await to.node.call('broken');
      assert.equal(await from.node.call('reset', to.peer, 'asker', over), 'aborted');
      await waitFor(async () => (await to.node.call('broken')) === before + 1, DEADLINE, 'the far side sees it');
    }
  });

  test('bytes of one stream are counted, both ways', async () => {
    for (const [from, to] of ways()) {
      assert.ok((await from.node.call('perf', to.peer, { up: 300_000, down: 10 }, over)) > 0);
      assert.ok((await from.node.call('perf', to.peer, { up: 0, down: 300_000 }, over)) > 0);
    }
  });

  test('ping answers, both ways', async () => {
    for (const [from, to] of ways()) assert.ok((await from.node.call('ping', to.peer)) >= 0);
  });
}

/** @param {Side} from @param {Side} to */
async function arrives(from, to, topic, text) {
  await from.node.call('publish', topic, text);
  const data = Buffer.from(text).toString('hex');
  const all = () => to.node.call('messages').then((all) => all.filter((one) => one.topic === topic && one.data === data));
  await waitFor(async () => (await all()).length > 0, DEADLINE, text);
  assert.equal((await all()).length, 1, 'once');
}

/** @param {Side[]} sides */
async function allSubscribe(topic, sides) {
  for (const { node } of sides) await node.call('subscribe', topic);
}

/** Until the circuit is closed, and js-libp2p says what it has to say on the direct link: what it says between is lost. */
const spokenToDirectly = (js, ours) =>
  waitFor(
    async () => {
      const all = (await js.node.call('connections')).filter(({ peer }) => peer === ours.peer);
      return all.every(({ direct }) => direct) && (await js.node.call('speaks', ours.peer)) === 'direct';
    },
    DEADLINE,
    'js-libp2p speaks on the direct link',
  );

const knowsOf = (side, topic, peer) =>
  waitFor(async () => (await side.node.call('subscribers', topic)).includes(peer), DEADLINE, 'the other subscribed');

for (const { named, args } of CHROMIUMS) {
  describe(`Chromium${named}`, () => {
    /** @type {Awaited<ReturnType<typeof startOurRelay>>} */
    let relay;
    /** @type {Side} */
    let js;
    /** Ours, that js-libp2p dials. @type {Side} */
    let answerer;
    /** Ours, that dials js-libp2p. @type {Side} */
    let offerer;

    before(async () => {
      relay = await startOurRelay();
      js = await open(site.url, relay, { args });
      answerer = await open(site.ours, relay, { args });
      offerer = await open(site.ours, relay, { args, first: true });
    });
    after(() => Promise.all([js?.node.close(), answerer?.node.close(), offerer?.node.close(), relay?.kill()]));

    test('js-libp2p dials ours', () => goDirect(js, answerer, 1));
    describe('js-libp2p offered', () => streams(() => [js, answerer], 'direct'));

    test('ours seeks js-libp2p', async () => {
      await offerer.node.call('dial', js.address);
      await connected(js.node, offerer.peer);
    });
    describe('ours offered', () => streams(() => [js, offerer], 'direct'));

    test('js-libp2p is told by identify who ours is', async () => {
      for (const ours of [answerer, offerer]) {
        const known = async () => (await js.node.call('knows', ours.peer)).agent;
        assert.match(await waitFor(known, DEADLINE, 'identify is answered'), /^ledgerno-interop\//);
        const { protocols } = await js.node.call('knows', ours.peer);
        for (const name of ['/meshsub/1.1.0', '/ipfs/ping/1.0.0']) assert.ok(protocols.includes(name), name);
      }
    });

    test('messages come both ways, and without the relay too', async () => {
      const topic = freshTopic();
      await allSubscribe(topic, [js, answerer, offerer]);
      for (const ours of [answerer, offerer]) {
        await knowsOf(js, topic, ours.peer);
        await knowsOf(ours, topic, js.peer);
        await spokenToDirectly(js, ours);
        await arrives(js, ours, topic, `from js-libp2p to ${ours.peer}`);
        await arrives(ours, js, topic, `from ours, ${ours.peer}`);
      }
      await relay.kill();
      for (const ours of [answerer, offerer]) {
        await arrives(js, ours, topic, `still from js-libp2p to ${ours.peer}`);
        await arrives(ours, js, topic, `still from ours, ${ours.peer}`);
      }
    });
  });
}

describe('at our relay', () => {
  /** @type {Awaited<ReturnType<typeof startOurRelay>>} */
  let relay;
  /** @type {Side} */
  let ours;
  /** @type {Side} */
  let js;
  before(async () => {
    relay = await startOurRelay();
    ours = await open(site.ours, relay, { direct: false });
    js = await open(site.url, relay);
    await js.node.call('dial', `${relay.address}/p2p-circuit/p2p/${ours.peer}`);
    await connected(ours.node, js.peer, false);
  });
  after(() => Promise.all([ours?.node.close(), js?.node.close(), relay?.kill()]));

  describe('by a circuit', () => streams(() => [js, ours], 'relayed'));

  test('a node of js-libp2p in Node knows who the relay is, pings it, is reachable by it, and reaches a page by it', async (t) => {
    const cas = await inNode(t, [relay.address]);
    assert.ok((await cas.ping(relay.peer)) >= 0);
    const { protocols, agent } = await waitFor(async () => {
      const known = await cas.knows(relay.peer);
      return known.agent && known;
    });
    assert.match(agent ?? '', /^ledgerno-relay\//);
    for (const name of ['/meshsub/1.1.0', '/libp2p/circuit/relay/0.2.0/hop']) assert.ok(protocols.includes(name), name);
    await waitFor(() => cas.multiaddrs().some((one) => one.includes('/p2p-circuit')), DEADLINE, 'a reservation');
    await cas.dial(`${relay.address}/p2p-circuit/p2p/${ours.peer}`);
    for (const size of SIZES) await cas.echo(ours.peer, size, 'relayed');
    await ours.node.call('echo', cas.peerId(), 65_536, 'relayed');
  });

  test('messages come by the relay, from and to every kind of node', async (t) => {
    const inProcess = await inNode(t, [relay.address]);
    const cas = { peer: inProcess.peerId(), node: { call: async (what, ...args) => inProcess[what](...args) } };
    const topic = await ours.node.call('register', relay.peer, relay.owner.split('/').at(-1));
    await allSubscribe(topic, [ours, js, cas]);
    for (const side of [ours, js, cas]) await knowsOf(side, topic, relay.peer);
    for (const side of [js, cas]) {
      await waitFor(async () => (await side.node.call('mesh', topic)).includes(relay.peer), DEADLINE, 'the mesh stands');
    }
    await arrives(cas, ours, topic, 'from js-libp2p in Node to ours');
    await arrives(cas, js, topic, 'from js-libp2p in Node to js-libp2p in a page');
    await arrives(ours, cas, topic, 'from ours to js-libp2p in Node');
    await arrives(js, cas, topic, 'from js-libp2p in a page to js-libp2p in Node');
  });
});
