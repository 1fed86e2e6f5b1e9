// The main story: a host starts a circle, a friend opens the link and is in.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import * as circle from '../lib/circle.mjs';
import { openProfile } from '../lib/profile.mjs';
import { startRelay } from '../lib/relay.mjs';
import { waitFor } from '../lib/wait.mjs';

/** @type {Awaited<ReturnType<typeof startRelay>>} */
let relay;
before(async () => {
  relay = await startRelay();
});
after(() => relay?.stop());

test('two browsers share a circle, and both settle on one state', async (t) => {
  const ann = await openProfile();
  t.after(() => ann.close());
  const invite = await circle.startCircle(ann.page, relay, { name: 'Garden', yourName: 'Ann' });
  assert.match(invite, /\/#\/join\/[A-Za-z0-9_-]+$/);

  const ben = await openProfile();
  t.after(() => ben.close());
  await circle.join(ben.page, invite, 'Ben');
  await waitFor(async () => (await ann.page.getByTestId('member').count()) === 2, undefined, 'Ann sees Ben');

  await circle.post(ann.page, 'The tomatoes are ripe');
  await circle.entry(ben.page, 'The tomatoes are ripe').waitFor();
  await circle.post(ben.page, 'I bring a basket');
  await circle.entry(ann.page, 'I bring a basket').waitFor();

  await circle.agreed(ann.page, ben.page);
  const before = { ann: await circle.balance(ann.page), ben: await circle.balance(ben.page) };
  await circle.thank(ann.page, 'Ben', 7, 'for the basket');
  await circle.entry(ben.page, 'for the basket').waitFor();
  await waitFor(async () => (await circle.balance(ann.page)) === before.ann - 7, undefined, 'Ann has 7 less');
  await waitFor(async () => (await circle.balance(ben.page)) === before.ben + 7, undefined, 'Ben has 7 more');

  const settled = await circle.agreed(ann.page, ben.page);
  assert.ok(settled.height > 0);
  await ann.screenshot('circle-ann');
  await ben.screenshot('circle-ben');
  assert.deepEqual(
    (await circle.entries(ann.page)).map(({ id }) => id).sort(),
    (await circle.entries(ben.page)).map(({ id }) => id).sort(),
    'each entry once, the same on both',
  );
});

test('one who comes when all are gone reads everything, and one who returns is the same', async (t) => {
  const ann = await openProfile();
  const invite = await circle.startCircle(ann.page, relay, { name: 'Kitchen', yourName: 'Ann' });
  const ben = await openProfile();
  await circle.join(ben.page, invite, 'Ben');
  await circle.reaches(await circle.post(ann.page, 'Soup at seven'), 'sent');
  await circle.reaches(await circle.post(ben.page, 'I am there'), 'sent');
  await circle.agreed(ann.page, ben.page);
  const ids = (await circle.entries(ann.page)).map(({ id }) => id).sort();
  await ann.close();
  await ben.close();

  const eve = await openProfile();
  t.after(() => eve.close());
  await circle.join(eve.page, invite, 'Eve');
  await circle.entry(eve.page, 'Soup at seven').waitFor();
  await circle.entry(eve.page, 'I am there').waitFor();

  const again = await openProfile(ann.dir);
  t.after(() => again.close());
  await again.page.goto(relay.page);
  await again.page.getByTestId('compose').waitFor();
  await waitFor(async () => {
    const shown = (await circle.entries(again.page)).map(({ id }) => id);
    return ids.every((id) => shown.includes(id));
  }, undefined, 'Ann has all entries again');
});
