// What was written stays: over a killed relay, a killed browser, a reload.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as circle from '../lib/circle.mjs';
import { findFirefox, firefoxPerson } from '../lib/firefox.mjs';
import { openProfile } from '../lib/profile.mjs';
import { startRelay } from '../lib/relay.mjs';
import { pageOf, servePage } from '../lib/site.mjs';
import { waitFor } from '../lib/wait.mjs';

/** A relay, and two people in one circle on it; all end with the test. */
async function two(t) {
  let relay = await startRelay();
  // With direct links the relay would not be missed.
  const ann = await openProfile(undefined, { direct: false });
  const ben = await openProfile(undefined, { direct: false });
  t.after(async () => {
    await ann.close();
    await ben.close();
    await relay.kill();
  });
  const invite = await circle.startCircle(ann.page, relay, { name: 'Garden', yourName: 'Ann' });
  await circle.join(ben.page, invite, 'Ben');
  return {
    ann,
    ben,
    invite,
    get relay() {
      return relay;
    },
    async restart() {
      relay = await relay.restart();
    },
  };
}

test('a relay killed three times while two people write: they go on, and all arrives once', async (t) => {
  const here = await two(t);
  const { ann, ben } = here;
  const written = [];

  for (const round of ['first', 'second', 'third']) {
    const texts = (who) => Array.from({ length: 6 }, (_, i) => `${round} ${who} ${i}.`);
    written.push(...texts('Ann'), ...texts('Ben'));
    let posted = 0;
    const write = async (page, who) => {
      for (const text of texts(who)) {
        await circle.post(page, text);
        posted += 1;
      }
    };
    const killed = waitFor(() => posted >= 4).then(() => here.relay.kill('SIGKILL'));
    await Promise.all([write(ann.page, 'Ann'), write(ben.page, 'Ben'), killed]);

    await Promise.all([circle.cutOff(ann.page), circle.cutOff(ben.page)]);
    const lonely = [];
    for (const [page, who] of /** @type {const} */ ([[ann.page, 'Ann'], [ben.page, 'Ben']])) {
      const text = `${round} ${who} alone.`;
      written.push(text);
      lonely.push(await circle.post(page, text));
    }
    for (const entry of lonely) assert.equal(await entry.getAttribute('data-status'), 'here', 'nobody else can have it');
    assert.equal(await circle.entry(ann.page, `${round} Ben alone.`).count(), 0);

    await here.restart();
    for (const { page } of [ann, ben]) await circle.eachOnce(page, written);
    for (const entry of lonely) await circle.reaches(entry, 'sent');
  }

  await circle.agreed(ann.page, ben.page);
  for (const { page } of [ann, ben]) await circle.eachOnce(page, written);
  const ids = async ({ page }) => (await circle.entries(page)).map(({ id }) => id);
  assert.deepEqual(await ids(ann), await ids(ben), 'the same entries in the same order');

  const eve = await openProfile();
  t.after(() => eve.close());
  await circle.join(eve.page, here.invite, 'Eve');
  await circle.eachOnce(eve.page, written);
});

test('a browser killed the moment an entry is here has it after the restart, without a relay too', async (t) => {
  const here = await two(t);
  const { ben } = here;
  await circle.agreed(here.ann.page, ben.page);
  let { ann } = here;
  t.after(() => ann.close());
  const site = await pageOf(here.relay.page);
  const written = [];

  // Once with a relay at hand, once without. The page itself tells when the entry shows, so that no time is lost.
  for (const relayOff of [false, true]) {
    if (relayOff) {
      await here.relay.kill('SIGKILL');
      await circle.cutOff(ann.page);
    }
    const text = relayOff ? 'Alone and gone.' : 'Said and gone.';
    written.push(text);
    const dying = ann;
    const dead = new Promise((resolve, reject) => {
      dying.page.exposeFunction('shown', () => dying.kill().then(resolve, reject)).catch(reject);
    });
    await ann.page.evaluate((text) => {
      const entries = () => [...document.querySelectorAll('[data-testid=entry]')];
      const look = () => entries().some((node) => node.textContent?.includes(text)) && /** @type {any} */ (window).shown();
      new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
    }, text);
    await ann.page.getByTestId('compose').fill(text);
    await ann.page.getByTestId('post').click({ noWaitAfter: true }).catch(() => {}); // the browser dies meanwhile
    await dead;

    const endPage = relayOff ? await servePage(here.relay.port, site) : null;
    ann = await openProfile(ann.dir);
    await ann.page.goto(here.relay.page);
    await circle.eachOnce(ann.page, written);
    const entry = circle.entry(ann.page, text);
    if (relayOff) {
      await circle.cutOff(ann.page);
      assert.equal(await entry.getAttribute('data-status'), 'here');
      await endPage?.();
      await here.restart();
    }
    await circle.reaches(entry, 'sent');
    await circle.eachOnce(ben.page, written);
  }
  await circle.agreed(ann.page, ben.page);
  assert.equal(await ben.page.locator('.forked').count(), 0, 'no device wrote two entries at one place');
});

test('a Firefox killed when an entry is here has it after the restart', async (t) => {
  const { lacking } = findFirefox();
  if (lacking) return t.skip(lacking);
  const relay = await startRelay();
  t.after(() => relay.kill());
  let ann = await firefoxPerson(t);
  await circle.startCircle(ann.page, relay, { name: 'Garden', yourName: 'Ann' });
  const written = [];
  for (const round of ['first', 'second']) {
    for (const text of [`${round} one.`, `${round} two.`]) {
      written.push(text);
      await circle.reaches(await circle.post(ann.page, text), 'here');
    }
    await ann.kill();
    ann = await firefoxPerson(t, ann.dir);
    await ann.page.goto(relay.page);
    await circle.eachOnce(ann.page, written);
  }
  await circle.agreed(ann.page);
});

test('what showed sent is at the relay, though it is killed that moment and the writer is gone', async (t) => {
  const here = await two(t);
  await circle.agreed(here.ann.page, here.ben.page);
  await here.ann.close();
  const { ben, relay } = here;
  const dead = new Promise((resolve, reject) => {
    ben.page.exposeFunction('sent', () => relay.kill('SIGKILL').then(() => ben.kill()).then(resolve, reject)).catch(reject);
  });
  await ben.page.evaluate(() => {
    const sent = (node) => node.textContent?.includes('Last words.') && node.getAttribute('data-status') !== 'here';
    const look = () => [...document.querySelectorAll('[data-testid=entry]')].some(sent) && /** @type {any} */ (window).sent();
    new MutationObserver(look).observe(document.body, { attributes: true, childList: true, subtree: true });
  });
  await ben.page.getByTestId('compose').fill('Last words.');
  await ben.page.getByTestId('post').click({ noWaitAfter: true }).catch(() => {}); // the browser dies meanwhile
  await dead;

  await here.restart();
  const eve = await openProfile();
  t.after(() => eve.close());
  await circle.join(eve.page, here.invite, 'Eve');
  await circle.eachOnce(eve.page, ['Last words.']);
});

test('after a reload the first is the same person with all entries', async (t) => {
  const { ann, ben } = await two(t);
  await circle.post(ann.page, 'The kettle is on.');
  await circle.post(ben.page, 'Coming.');
  const before = await circle.agreed(ann.page, ben.page);
  const me = (page) => page.getByTestId('member').filter({ hasText: 'you' }).getAttribute('data-member-id');
  const [id, shown] = [await me(ann.page), await circle.entries(ann.page)];

  await ann.page.reload();
  await circle.eachOnce(ann.page, ['The kettle is on.', 'Coming.']);
  assert.equal(await me(ann.page), id);
  assert.deepEqual((await circle.entries(ann.page)).map(({ id }) => id), shown.map(({ id }) => id));
  assert.deepEqual(await circle.agreed(ann.page, ben.page), before, 'a reload writes nothing');

  await circle.post(ann.page, 'It boils.');
  await circle.entry(ben.page, 'It boils.').waitFor();
  await circle.agreed(ann.page, ben.page);
});
