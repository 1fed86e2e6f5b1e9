// Friends' browsers link directly, and the circle lives on without its relay.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CHROMIUMS } from '../lib/chromium.mjs';
import * as circle from '../lib/circle.mjs';
import { findFirefox, firefoxPerson } from '../lib/firefox.mjs';
import { person } from '../lib/profile.mjs';
import { startRelay } from '../lib/relay.mjs';
import { waitFor } from '../lib/wait.mjs';

/** @typedef {Pick<Awaited<ReturnType<typeof person>>, 'page'> & { context: { addInitScript: Function } }} Friend */

/** How many friends a page shows by each path. @param {import('playwright-core').Page} page */
async function paths(page) {
  const shown = await page.getByTestId('peer').evaluateAll((nodes) => nodes.map((node) => node.getAttribute('data-path')));
  const count = (path) => shown.filter((one) => one === path).length;
  return { direct: count('direct'), relayed: count('relayed'), relay: count('relay') };
}

/** Waits until a page shows so many friends, and all of them directly linked. */
async function direct(page, friends) {
  await waitFor(async () => (await paths(page)).direct === friends, undefined, `${friends} friends linked directly`);
}

/**
 * The story of two.
 * @param {import('node:test').TestContext} t
 * @param {() => Promise<Friend[]>} open their browsers
 */
async function withoutTheirRelay(t, open) {
  let relay = await startRelay();
  t.after(() => relay.kill());
  const [ann, ben] = await open();
  for (const { context } of [ann, ben]) await context.addInitScript(keepMade);
  const invite = await circle.startCircle(ann.page, relay, { name: 'Garden', yourName: 'Ann' });
  await circle.join(ben.page, invite, 'Ben');
  for (const { page } of [ann, ben]) await direct(page, 1);
  await circle.agreed(ann.page, ben.page);
  // What comes once the page is drawn has come.
  const fetched = () => performance.getEntriesByType('resource').some(({ name }) => /\/Peer-[\w-]+\.js$/.test(name));
  for (const { page } of [ann, ben]) await waitFor(() => page.evaluate(fetched), undefined, 'the rest of the page comes');
  /** How many peer connections each has made, and how many of them stand. */
  const made = () =>
    Promise.all([ann, ben].map(({ page }) => page.evaluate(() => {
      const all = /** @type {RTCPeerConnection[]} */ (/** @type {any} */ (window).made);
      return [all.length, all.filter((one) => one.connectionState === 'connected').length];
    })));
  await waitFor(async () => (await made()).every(([, standing]) => standing === 1), undefined, 'one link stands');
  const before = await made();

  await relay.kill('SIGKILL');
  await Promise.all([circle.cutOff(ann.page), circle.cutOff(ben.page)]);
  for (const { page } of [ann, ben]) {
    assert.match((await page.getByTestId('relay-off').textContent()) ?? '', /linked directly get it now/);
    // Asked for the first time, of whom hands the page out nobody is there.
    await page.getByTestId('trace').first().click();
    await page.getByTestId('link').first().waitFor();
  }
  const texts = [];
  for (const round of [1, 2, 3]) {
    for (const [writer, reader, who] of /** @type {const} */ ([[ann, ben, 'Ann'], [ben, ann, 'Ben']])) {
      const text = `${who} without a relay ${round}.`;
      texts.push(text);
      await circle.reaches(await circle.post(writer.page, text), 'sent');
      await circle.entry(reader.page, text).waitFor();
    }
  }
  await circle.agreed(ann.page, ben.page);

  relay = await relay.restart();
  for (const { page } of [ann, ben]) {
    await waitFor(async () => (await paths(page)).relay === 1, undefined, 'the relay is linked again');
    assert.equal((await paths(page)).direct, 1);
  }
  await circle.post(ann.page, 'The relay is back.');
  for (const { page } of [ann, ben]) await circle.eachOnce(page, [...texts, 'The relay is back.']);
  assert.deepEqual(await made(), before, 'it is the same link all the time');
}

const TWO = 'two browsers go direct, live on without their relay, and do not notice when it is back';
for (const { named, args } of CHROMIUMS) {
  test(`${TWO}${named}`, (t) => withoutTheirRelay(t, async () => [await person(t, { args }), await person(t, { args })]));
}

test('what stands for the Chromium to come refuses a description with credentials of one’s own', async (t) => {
  const answers = [];
  for (const { args } of CHROMIUMS) {
    const { page } = await person(t, { args });
    answers.push(await page.evaluate(async () => {
      const connection = new RTCPeerConnection();
      connection.createDataChannel('');
      const { sdp } = await connection.createOffer();
      const changed = sdp?.replace(/(?<=ice-ufrag:).*/g, 'mine').replace(/(?<=ice-pwd:).*/g, 'mine'.repeat(8));
      const taken = connection.setLocalDescription({ type: 'offer', sdp: changed });
      return taken.then(() => 'taken', (error) => error.name).finally(() => connection.close());
    }));
  }
  assert.deepEqual(answers, ['taken', 'InvalidModificationError']);
});

for (const [named, ...people] of /** @type {const} */ ([
  ['Firefox and Chromium', firefoxPerson, person],
  ['Chromium and Firefox', person, firefoxPerson],
  ['Firefox and Firefox', firefoxPerson, firefoxPerson],
])) {
  test(`${TWO}: ${named}`, async (t) => {
    const { lacking } = findFirefox();
    if (lacking) return t.skip(lacking);
    await withoutTheirRelay(t, async () => [await people[0](t), await people[1](t)]);
  });
}

/** Runs in a page: keeps its peer connections, for a test to break them. */
function keepMade() {
  const made = (/** @type {any} */ (window).made = []);
  window.RTCPeerConnection = new Proxy(RTCPeerConnection, {
    construct(target, args) {
      made.push(new target(...args));
      return made.at(-1);
    },
  });
}

/**
 * Lets a page link directly only with those who are named, until `freed`. Each page writes its name into its descriptions'
 * session line, which means nothing to a browser.
 */
function onlyWith({ own, neighbours }) {
  const allowed = new Set(neighbours);
  const { createOffer, createAnswer, setRemoteDescription } = RTCPeerConnection.prototype;
  const named = (make) =>
    async function (...args) {
      const description = await make.apply(this, args);
      return { type: description.type, sdp: description.sdp.replace(/^s=.*$/m, `s=${own}`) };
    };
  RTCPeerConnection.prototype.createOffer = /** @type {any} */ (named(createOffer));
  RTCPeerConnection.prototype.createAnswer = /** @type {any} */ (named(createAnswer));
  RTCPeerConnection.prototype.setRemoteDescription = /** @type {any} */ (
    async function (description) {
      const other = /^s=(.*)$/m.exec(description.sdp ?? '')?.[1]?.trim() ?? '';
      Object.assign(this, { other });
      if (!(/** @type {any} */ (window).freed) && !allowed.has(other)) throw new Error(`not with ${other}`);
      return setRemoteDescription.call(this, description);
    }
  );
}

/**
 * The story of five.
 * @param {import('node:test').TestContext} t
 * @param {(name: string) => Promise<Friend>} open
 */
async function fromAChain(t, open) {
  const relay = await startRelay();
  t.after(() => relay.kill());
  const names = ['Ann', 'Ben', 'Cid', 'Dan', 'Eve'];
  const friends = [];
  for (const [at, name] of names.entries()) {
    const friend = await open(name);
    await friend.context.addInitScript(keepMade);
    await friend.context.addInitScript(onlyWith, { own: name, neighbours: [names[at - 1], names[at + 1]].filter(Boolean) });
    friends.push(friend);
  }
  const [ann, ...others] = friends;
  const invite = await circle.startCircle(ann.page, relay, { name: 'Chain', yourName: 'Ann' });
  for (const [at, friend] of others.entries()) await circle.join(friend.page, invite, names[at + 1]);
  for (const [at, { page }] of friends.entries()) await direct(page, at === 0 || at === 4 ? 1 : 2);
  await circle.agreed(...friends.map(({ page }) => page));

  await relay.kill('SIGKILL');
  for (const { page } of friends) {
    await circle.cutOff(page);
    await page.evaluate(() => void Object.assign(window, { freed: true }));
  }
  await circle.post(ann.page, 'Along the chain.');
  for (const { page } of friends) await circle.eachOnce(page, ['Along the chain.']);
  for (const { page } of friends) await direct(page, 4);

  // Ann's link with Eve breaks without a word to her node; the other end sees it, and asks a neighbour to introduce it.
  const breakWithEve = () => {
    const withEve = (one) => one.connectionState === 'connected' && one.other === 'Eve';
    const standing = () => /** @type {any} */ (window).made.filter(withEve);
    Object.assign(window, { standing });
    // Two, if both had begun at once.
    const broken = standing();
    broken.forEach((one) => one.close());
    return { links: broken.length, left: standing().length };
  };
  const { links, left } = await ann.page.evaluate(breakWithEve);
  assert.ok(links > 0);
  assert.equal(left, 0);
  const again = () => ann.page.evaluate(() => /** @type {any} */ (window).standing().length > 0);
  await waitFor(again, undefined, 'the broken link is made again');
  for (const { page } of friends) await direct(page, 4);
  await circle.post(friends[4].page, 'From the other end.');
  for (const { page } of friends) await circle.eachOnce(page, ['Along the chain.', 'From the other end.']);
}

const FIVE = 'five browsers in a chain become a mesh by their neighbours, without a relay, and mend a broken link';
for (const { named, args } of CHROMIUMS) {
  test(`${FIVE}${named}`, (t) => fromAChain(t, () => person(t, { args })));
}

test(`${FIVE}: with Firefox in the middle, and beside it`, (t) => {
  const { lacking } = findFirefox();
  if (lacking) return t.skip(lacking);
  return fromAChain(t, (name) => (name === 'Cid' || name === 'Dan' ? firefoxPerson(t) : person(t)));
});

/**
 * Ben's browser is cut off and is back: all that was written comes, and all links stand again, without a reload.
 * @param {import('node:test').TestContext} t
 * @param {(ben: Awaited<ReturnType<typeof person>>) => Promise<{ writes: boolean, back: () => Promise<unknown> }>} cutOff
 *   answers whether his page still works meanwhile, and how it comes back
 */
async function cutOffAndBack(t, cutOff) {
  const relay = await startRelay();
  t.after(() => relay.kill());
  const [ann, ben] = [await person(t), await person(t)];
  await ben.context.addInitScript(keepMade);
  const invite = await circle.startCircle(ann.page, relay, { name: 'Train', yourName: 'Ann' });
  await circle.join(ben.page, invite, 'Ben');
  for (const { page } of [ann, ben]) await direct(page, 1);
  await circle.agreed(ann.page, ben.page);
  await ben.page.evaluate(() => Object.assign(window, { stayed: true }));

  const { writes, back } = await cutOff(ben);
  await waitFor(async () => (await paths(ann.page)).direct === 0, undefined, 'Ann sees that Ben is away');
  const texts = ['Ann, while Ben is away.'];
  await circle.post(ann.page, texts[0]);
  if (writes) {
    await circle.cutOff(ben.page);
    texts.push('Ben, in a tunnel.');
    await circle.post(ben.page, 'Ben, in a tunnel.');
    assert.equal(await circle.entry(ann.page, 'Ben, in a tunnel.').count(), 0);
    assert.equal(await circle.entry(ben.page, texts[0]).count(), 0);
  }
  await back();

  const linked = async () => {
    for (const { page } of [ann, ben]) {
      const all = async () => (await paths(page)).relay === 1 && (await paths(page)).direct === 1;
      await waitFor(all, undefined, 'the friend and the relay are linked again');
    }
  };
  const since = performance.now();
  await linked();
  t.diagnostic(`linked again after ${Math.round(performance.now() - since)} ms`);
  for (const [{ page }, text] of /** @type {const} */ ([[ann, 'Ann, afterwards.'], [ben, 'Ben, afterwards.']])) {
    texts.push(text);
    await circle.post(page, text);
  }
  for (const { page } of [ann, ben]) await circle.eachOnce(page, texts);
  await circle.agreed(ann.page, ben.page);
  // What a page showed before may have been from before.
  await linked();
  assert.ok(await ben.page.evaluate(() => /** @type {any} */ (window).stayed));
}

test('a friend whose network goes and comes back is linked again, by the relay and directly, without a reload', (t) =>
  cutOffAndBack(t, async ({ context, page }) => {
    await context.setOffline(true);
    // Which leaves peer connections alone.
    await page.evaluate(() => /** @type {any} */ (window).made.forEach((one) => one.close()));
    return { writes: true, back: () => context.setOffline(false) };
  }));

test('a friend whose computer slept is linked again, by the relay and directly, without a reload', (t) => {
  if (process.platform === 'win32') return t.skip('Windows has no signal that stops a process.');
  return cutOffAndBack(t, async (ben) => {
    await ben.sleep();
    return { writes: false, back: async () => ben.wake() };
  });
});
