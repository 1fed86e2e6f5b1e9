// A relay at home without TLS: on an insecure origin everything works, and a sentence says what is missing.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import * as circle from '../lib/circle.mjs';
import { openProfile } from '../lib/profile.mjs';
import { startRelay } from '../lib/relay.mjs';

const NAME = 'circle.test';
const hosts = { [NAME]: '127.0.0.1' };

/** @type {Awaited<ReturnType<typeof startRelay>>} */
let relay;
/** What the relay printed, as somebody elsewhere reaches it. */
let there;
before(async () => {
  relay = await startRelay();
  const elsewhere = (url) => url.replace('127.0.0.1', NAME);
  there = { ...relay, owner: elsewhere(relay.owner), page: elsewhere(relay.page), url: elsewhere(relay.url) };
});
after(() => relay?.stop());

test('on an insecure origin people start, join, write and come back', async (t) => {
  const ann = await openProfile(undefined, { hosts });
  const ben = await openProfile(undefined, { hosts });
  t.after(() => Promise.all([ann.close(), ben.close()]));

  await ann.page.goto(there.page);
  const missing = ann.page.getByTestId('missing');
  await missing.waitFor();
  assert.match((await missing.textContent()) ?? '', /not secure.+leaves out .+all else works/);
  assert.equal(await ann.page.evaluate(() => isSecureContext), false);
  assert.equal(await ann.page.evaluate(() => 'locks' in navigator), false);

  const invite = await circle.startCircle(ann.page, there, { name: 'Garden', yourName: 'Ann' });
  assert.ok(invite.startsWith(`${there.url}/#/join/`), `friends reach the link: ${invite}`);
  await missing.waitFor();
  await circle.join(ben.page, invite, 'Ben');
  await ben.page.getByTestId('missing').waitFor();

  await circle.post(ann.page, 'Without a lock.');
  await circle.post(ben.page, 'In the address bar.');
  for (const { page } of [ann, ben]) await circle.eachOnce(page, ['Without a lock.', 'In the address bar.']);
  const before = await circle.agreed(ann.page, ben.page);

  for (const { page } of [ann, ben]) {
    await page.reload();
    await circle.eachOnce(page, ['Without a lock.', 'In the address bar.']);
  }
  assert.deepEqual(await circle.agreed(ann.page, ben.page), before);
  await circle.post(ben.page, 'Here again.');
  await circle.entry(ann.page, 'Here again.').waitFor();
  await circle.agreed(ann.page, ben.page);

  // A browser without a clipboard for this page copies all the same.
  const copy = ann.page.locator('section[aria-labelledby=invite] .row button').first();
  await copy.click();
  await ann.page.getByText('Copied').first().waitFor({ state: 'attached' });
});

test('without Web Locks too a second tab is refused and may take over', async (t) => {
  const ann = await openProfile(undefined, { hosts });
  t.after(() => ann.close());
  const first = ann.page;
  await circle.startCircle(first, there, { name: 'Kitchen', yourName: 'Ann' });
  await circle.post(first, 'By the first tab.');

  const second = await ann.newTab();
  await second.goto(there.page);
  await second.getByTestId('take-over').waitFor();
  assert.equal(await second.getByTestId('compose').isVisible(), false);
  await circle.post(first, 'The first tab goes on.');

  await second.getByTestId('take-over').click();
  await circle.eachOnce(second, ['By the first tab.', 'The first tab goes on.']);
  await first.getByTestId('take-over').waitFor();
  assert.equal(await first.getByTestId('compose').isVisible(), false);
  await circle.reaches(await circle.post(second, 'By the second tab.'), 'settled');
  assert.equal(await second.locator('.forked').count(), 0);
});
