// Friends at home behind routers: where the routers let a direct link through it is made, and where they do not all works
// through the relay, and the page says why.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { CHROMIUMS } from '../lib/chromium.mjs';
import * as circle from '../lib/circle.mjs';
import { startNative } from '../lib/harness.mjs';
import { INTERNET, STUN, TURN, lacking, portsOf, startInternet } from '../lib/nat.mjs';
import { person } from '../lib/profile.mjs';
import { startRelay } from '../lib/relay.mjs';
import { waitFor } from '../lib/wait.mjs';

const TIMEOUT = 10 * 60_000;

/** @type {string | undefined} */
let why;
before(() => {
  why = lacking();
});

/** Two friends who met through the relay. Nothing of the browsers is changed: they hide their own addresses by mDNS. */
async function friends(t, kinds, { ice = [STUN], args = /** @type {string[]} */ ([]) } = {}) {
  const internet = await startInternet(t);
  const relay = await startRelay({
    within: internet.within,
    host: INTERNET,
    port: 8080,
    ice,
    args: ['--public-url', `http://${INTERNET}:8080/`],
  });
  t.after(() => relay.kill());
  const homes = kinds.map((kind) => internet.home(kind));
  const [ann, ben] = [await person(t, { ...homes[0], args }), await person(t, { ...homes[1], args })];
  const invite = await circle.startCircle(ann.page, relay, { name: 'Street', yourName: 'Ann' });
  await circle.join(ben.page, invite, 'Ben');
  const met = performance.now();
  return { relay, homes, ann, ben, since: () => `${Math.round(performance.now() - met)} ms after joining` };
}

const linked = (page, path) => page.locator(`[data-testid=peer][data-path=${path}]`);

/** Waits until each is linked with the other by this path. */
async function both(path, ...people) {
  for (const { page } of people) await linked(page, path).waitFor();
}

/** Each writes, and both read it. */
async function talk(ann, ben, where) {
  const texts = [`Ann ${where}.`, `Ben ${where}.`];
  await circle.post(ann.page, texts[0]);
  await circle.post(ben.page, texts[1]);
  for (const { page } of [ann, ben]) await circle.eachOnce(page, texts);
  await circle.agreed(ann.page, ben.page);
}

/** @param {import('node:test').TestContext} t @param {string[]} args of Chromium */
async function behindCones(t, args) {
  if (why) return t.skip(why);
  const { relay, homes, ann, ben, since } = await friends(t, ['cone', 'cone'], { args });
  await both('direct', ann, ben);
  t.diagnostic(`direct ${since()}`);
  for (const home of homes) {
    const { own, seen } = portsOf(home);
    assert.deepEqual(seen, [own, own], 'the router keeps the port, whereto it goes');
  }
  await talk(ann, ben, 'at home');

  await relay.kill();
  await Promise.all([circle.cutOff(ann.page), circle.cutOff(ben.page)]);
  await talk(ann, ben, 'without the relay');
}

for (const { named, args } of CHROMIUMS) {
  test(`behind two cone NATs friends link directly${named}`, { timeout: TIMEOUT }, (t) => behindCones(t, args));
}

test('behind two symmetric NATs friends stay relayed, read why, and go direct once they are elsewhere', { timeout: TIMEOUT }, async (t) => {
  if (why) return t.skip(why);
  const { homes, ann, ben, since } = await friends(t, ['symmetric', 'symmetric']);
  await both('relayed', ann, ben);
  for (const home of homes) {
    const { seen } = portsOf(home);
    assert.notEqual(seen[0], seen[1], 'the router takes another port for each destination');
  }
  await talk(ann, ben, 'through the relay');

  const codes = [];
  for (const [who, { page }] of Object.entries({ ann, ben })) {
    await page.getByTestId('trace').click();
    const link = page.getByTestId('link');
    const code = await waitFor(() => link.getAttribute('data-why'), undefined, 'the page says why there is no direct link');
    t.diagnostic(`${who} reads ${code} ${since()}`);
    codes.push(code);
    assert.match((await link.textContent()) ?? '', code === 'no-way' ? /TURN/ : /tried again by itself/);
    assert.equal(await linked(page, 'relayed').count(), 1);
    assert.equal(await linked(page, 'direct').count(), 0);
  }
  // Who began knows it; the other hears that it was given up, or knows it too.
  assert.match(codes.join(' '), /^no-way (no-way|given-up)$|^given-up no-way$/);
  await talk(ann, ben, 'after the attempt');

  for (const home of homes) home.become('cone');
  await both('direct', ann, ben);
  t.diagnostic(`direct ${since()}`);
  await talk(ann, ben, 'with other routers');
});

test('behind two symmetric NATs a TURN server links friends without the relay', { timeout: TIMEOUT }, async (t) => {
  if (why) return t.skip(why);
  const { relay, ann, ben, since } = await friends(t, ['symmetric', 'symmetric'], { ice: [STUN, TURN] });
  await both('direct', ann, ben);
  t.diagnostic(`direct ${since()}`);
  await relay.kill();
  await Promise.all([circle.cutOff(ann.page), circle.cutOff(ben.page)]);
  await talk(ann, ben, 'by TURN');
});

/** Two programs that are no browsers, at a hub on the internet, each behind a router. */
async function natives(t, way, kinds) {
  const internet = await startInternet(t);
  const hub = await startNative(internet.within, ['--name', '1', '--hub', `--${way}`, `${INTERNET}:4001`]);
  t.after(() => hub.stop());
  const url = (await hub.said(/^listening: (\S+)$/m))[1];
  const start = async (kind, name, friend) => {
    const dials = ['--dial', `${url}#${hub.id}`, '--seek', String(friend)];
    const node = await startNative(internet.home(kind).within, ['--name', String(name), `--${way}`, '0.0.0.0:4001', ...dials]);
    t.after(() => node.stop());
    return node;
  };
  return { hub, ann: await start(kinds[0], 2, 3), ben: await start(kinds[1], 3, 2) };
}

for (const way of ['tcp', 'quic']) {
  test(`behind two cone NATs native nodes open a hole for each other by ${way}`, { timeout: TIMEOUT }, async (t) => {
    if (why) return t.skip(why);
    const { hub, ann, ben } = await natives(t, way, ['cone', 'cone']);
    for (const [one, other] of [[ann, ben], [ben, ann]]) {
      await one.said(new RegExp(`^linked: ${other.id} relayed$`, 'm'));
      await one.said(new RegExp(`^linked: ${other.id} direct$`, 'm'));
    }
    await hub.stop();
    for (const one of [ann, ben]) await one.said(new RegExp(`^gone: ${hub.id}$`, 'm'));
    await ann.ask(ben.id);
    await ben.ask(ann.id);
  });
}

test('behind two symmetric NATs native nodes stay relayed', { timeout: TIMEOUT }, async (t) => {
  if (why) return t.skip(why);
  const { ann, ben } = await natives(t, 'quic', ['symmetric', 'symmetric']);
  await Promise.any([
    ann.said(new RegExp(`^tried: ${ben.id} no-way$`, 'm')),
    ben.said(new RegExp(`^tried: ${ann.id} no-way$`, 'm')),
  ]);
  assert.doesNotMatch(ann.log() + ben.log(), / direct$/m);
  await ann.ask(ben.id);
  await ben.ask(ann.id);
});
