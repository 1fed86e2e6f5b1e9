// A browser is a light node: it may let go of what is old, and joins a long circle by a snapshot. Both hold the root that
// everybody has, and what they do not hold comes back when somebody scrolls to it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as circle from '../lib/circle.mjs';
import { startFounder } from '../lib/harness.mjs';
import { openProfile, person } from '../lib/profile.mjs';
import { startRelay } from '../lib/relay.mjs';
import { pageOf, servePage } from '../lib/site.mjs';
import { waitFor } from '../lib/wait.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** More than a node keeps in memory, and than a store keeps loose. */
const POSTS = 2_600;
/** From so many heights on the newcomer joins by a snapshot. */
const HEIGHTS = 30;

/** The names of the circle's records, and the bytes of its log. @param {Page} page */
function stored(page) {
  return page.evaluate(async () => {
    const open = indexedDB.open('ledgerno');
    const done = (request) =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const database = await done(open);
    const table = (name) => database.transaction(name).objectStore(name);
    const [names, log] = [await done(table('records').getAllKeys()), await done(table('log').getAll())];
    database.close();
    return { records: names.map(([, name]) => name), log: log.reduce((sum, bytes) => sum + bytes.byteLength, 0) };
  });
}

/** Keeps no more on this device than it must, by the page's own setting. @param {Page} page */
async function keepOnlyTheNewest(page) {
  await circle.unfold(page, 'circle-rules');
  const reloaded = page.waitForEvent('load');
  await page.getByTestId('keep').selectOption('0');
  await reloaded;
  await page.getByTestId('compose').waitFor();
}

/** To the top, again and again, as one scrolls, till this text is shown. @param {Page} page */
async function scrollTo(page, text) {
  await page.locator('.scroller').hover();
  await waitFor(
    async () => {
      await page.mouse.wheel(0, -100_000);
      return (await circle.entry(page, text).count()) > 0;
    },
    120_000,
    `${text} is shown`,
  );
}

/** The numbers of the founder's posts, as they are shown. @param {Page} page */
async function numbers(page) {
  const texts = (await circle.entries(page)).map(({ text }) => /post (\d+)\./.exec(text ?? '')?.[1]);
  return texts.filter(Boolean).map(Number);
}

const ALL = Array.from({ length: POSTS }, (_, at) => at);

/** A circle with many posts, and Ben, who holds all of them. @param {import('node:test').TestContext} t */
async function many(t) {
  const relay = await startRelay();
  t.after(() => relay.kill());
  const founder = await startFounder(relay);
  t.after(() => founder.stop());
  await founder.does(`posts ${POSTS}`);
  await founder.does('settle');
  const ben = await person(t);
  await circle.join(ben.page, founder.invite, 'Ben');
  await circle.entry(ben.page, `post ${POSTS - 1}.`).waitFor();
  const own = await circle.post(ben.page, 'Here I am.');
  await circle.reaches(own, 'sent');
  // Ben's words may not have come to the founder yet; and there must be something to settle.
  for (let at = 0; (await own.getAttribute('data-status')) !== 'settled'; at += 1) {
    await founder.does(`post Welcome ${at}.`);
    await founder.does('settle');
    const said = circle.entry(ben.page, `Welcome ${at}.`);
    await said.waitFor();
    await circle.reaches(said, 'settled');
  }
  await waitFor(async () => (await stored(ben.page)).records.includes('snapshot'), undefined, 'a snapshot is made');
  return { relay, founder, ben };
}

test('a browser lets old entries go, shows the newest after a reload, and fetches the first as one scrolls', async (t) => {
  const { relay, founder, ben } = await many(t);
  const { page } = ben;
  const before = { ...(await stored(page)), settled: await circle.settled(page) };
  await keepOnlyTheNewest(page);
  await waitFor(async () => (await stored(page)).log < 0.6 * before.log, undefined, 'much is let go');

  await page.reload();
  await circle.entry(page, `post ${POSTS - 1}.`).waitFor();
  assert.deepEqual(await circle.settled(page), before.settled);
  assert.ok((await page.getByTestId('entry').count()) < 210, 'only the newest are drawn');
  const kept = (await stored(page)).log;
  await scrollTo(page, 'post 0.');
  await circle.reaches(circle.entry(page, 'post 0.'), 'settled');
  await waitFor(async () => (await numbers(page)).length >= POSTS, undefined, 'all are shown');
  assert.deepEqual(await numbers(page), ALL, 'each post once, in order');
  assert.equal(await circle.entry(page, 'Here I am.').count(), 1);
  assert.equal((await stored(page)).log, kept, 'what is fetched is not kept');

  // Alone it shows what it kept, and says who has the rest.
  const site = await pageOf(relay.page);
  await relay.kill();
  const endPage = await servePage(relay.port, site);
  await page.reload();
  await circle.entry(page, 'Here I am.').waitFor();
  assert.deepEqual(await circle.settled(page), before.settled);
  await page.locator('.scroller').hover();
  await waitFor(async () => {
    await page.mouse.wheel(0, -100_000);
    return page.getByTestId('kept-elsewhere').isVisible();
  }, undefined, 'it says that the relay keeps the older ones');
  const shown = await numbers(page);
  assert.deepEqual(shown, ALL.slice(-shown.length), 'the newest, without a gap');
  assert.ok(shown.length < POSTS / 1.5, `${shown.length} are here`);
  await ben.screenshot('kept-elsewhere');
  await endPage();
  await founder.stop();
});

test('a browser killed while it lets go shows nothing wrong, and everything once it is back', async (t) => {
  const { relay, ben } = await many(t);
  const settled = await circle.settled(ben.page);
  const dead = new Promise((resolve, reject) => {
    ben.context.exposeFunction('lettingGo', () => ben.kill().then(resolve, reject)).catch(reject);
  });
  // A full record is written once; whoever writes the first one again empties it.
  await ben.context.addInitScript(() => {
    const put = IDBObjectStore.prototype.put;
    IDBObjectStore.prototype.put = function (value, key) {
      if (this.name === 'log' && Array.isArray(key) && key[1] === 0) /** @type {any} */ (window).lettingGo();
      return put.call(this, value, key);
    };
  });
  await circle.unfold(ben.page, 'circle-rules');
  await ben.page.getByTestId('keep').selectOption('0').catch(() => {}); // the browser dies meanwhile
  await dead;

  const back = await person(t, {}, ben.dir);
  await back.page.goto(relay.page);
  await circle.entry(back.page, `post ${POSTS - 1}.`).waitFor();
  assert.deepEqual(await circle.settled(back.page), settled);
  await scrollTo(back.page, 'post 0.');
  await waitFor(async () => (await numbers(back.page)).length >= POSTS, undefined, 'all are shown');
  assert.deepEqual(await numbers(back.page), ALL, 'each post once, in order');
  assert.equal(await back.page.getByTestId('alert').count(), 0);
  const post = await circle.post(back.page, 'Still here.');
  await circle.reaches(post, 'sent');
});

test('a newcomer by invite joins by a snapshot, holds the root of who holds all, and scrolls back to the first post', async (t) => {
  const relay = await startRelay();
  t.after(() => relay.kill());
  const ann = await person(t);
  const invite = await circle.startCircle(ann.page, relay, { name: 'Long table', yourName: 'Ann' });
  await circle.unfold(ann.page, 'choose-witnesses');
  await ann.page.getByTestId('enlist-relay').click();
  await waitFor(
    () => ann.page.getByTestId('witness').evaluateAll((nodes) => nodes.length === 1 && nodes[0]?.querySelector('.relay') !== null),
    undefined,
    'the relay is the witness',
  );
  const said = [];
  while ((await circle.settled(ann.page)).height < HEIGHTS + 20) {
    const text = `At table ${said.length}.`;
    said.push(text);
    await circle.reaches(await circle.post(ann.page, text), 'settled');
  }

  const carl = await person(t);
  // Whoever serves a page may say from how many heights on it joins by a snapshot.
  await carl.context.addInitScript((heights) => {
    new MutationObserver(() => {
      const meta = document.querySelector('meta[name="ledgerno-relay"]');
      const content = meta?.getAttribute('content') ?? '';
      if (content && !content.includes('joinFrom')) meta?.setAttribute('content', content.replace('{', `{"joinFrom":${heights},`));
    }).observe(document, { childList: true, subtree: true });
  }, HEIGHTS);
  const dora = await openProfile();
  t.after(() => dora.close());
  await circle.join(carl.page, invite, 'Carl');
  await circle.join(dora.page, invite, 'Dora');
  for (const { page } of [ann, carl, dora]) await circle.eachOnce(page, ['Carl joined', 'Dora joined']);
  await circle.agreed(ann.page, carl.page, dora.page);
  const [carls, doras] = [await stored(carl.page), await stored(dora.page)];
  assert.ok(carls.records.includes('joined') && !doras.records.includes('joined'), 'one came by a snapshot, and one did not');
  assert.ok(carls.log < doras.log / 2, `${carls.log} bytes are here of ${doras.log}`);

  for (const again of [false, true]) {
    if (again) await carl.page.reload();
    await circle.eachOnce(carl.page, said);
    await circle.reaches(circle.entry(carl.page, 'At table 0.'), 'settled');
    assert.equal((await stored(carl.page)).log, carls.log, 'what is fetched is not kept');
    assert.equal(await carl.page.getByTestId('alert').count(), 0);
  }
  await circle.post(carl.page, 'What did I miss?');
  await circle.agreed(ann.page, carl.page, dora.page);
  await carl.screenshot('joined-by-snapshot');
});
