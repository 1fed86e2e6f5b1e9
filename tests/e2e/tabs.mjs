// One profile, one node: a second tab says so, and may take over.

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

const isNode = (page) => page.getByTestId('compose').isVisible();
const isRefused = (page) => page.getByTestId('take-over').isVisible();

test('a second tab is refused, takes over, and gives back; one node writes', async (t) => {
  const ann = await openProfile();
  const ben = await openProfile();
  t.after(() => Promise.all([ann.close(), ben.close()]));
  const first = ann.page;
  const invite = await circle.startCircle(first, relay, { name: 'Garden', yourName: 'Ann' });
  await circle.join(ben.page, invite, 'Ben');
  await circle.post(first, 'By the first tab.');

  const second = await ann.newTab();
  await second.goto(relay.page);
  await second.getByTestId('take-over').waitFor();
  assert.equal(await isNode(second), false);
  assert.match((await second.locator('h1').textContent()) ?? '', /another tab/);
  await circle.post(first, 'The first tab goes on.');

  await second.getByTestId('take-over').click();
  await circle.eachOnce(second, ['By the first tab.', 'The first tab goes on.']);
  await first.getByTestId('take-over').waitFor();
  assert.equal(await isNode(first), false);
  assert.match((await first.locator('body').textContent()) ?? '', /took over/);
  await circle.post(second, 'By the second tab.');

  await first.getByTestId('take-over').click();
  await circle.eachOnce(first, ['By the first tab.', 'The first tab goes on.', 'By the second tab.']);
  await second.getByTestId('take-over').waitFor();
  assert.equal(await isNode(second), false);
  await circle.post(first, 'The first tab again.');
  await circle.eachOnce(ben.page, ['By the first tab.', 'The first tab goes on.', 'By the second tab.', 'The first tab again.']);
  await circle.agreed(first, ben.page);
  assert.equal(await ben.page.locator('.forked').count(), 0, 'no device wrote two entries at one place');

  await first.close();
  await second.reload();
  await second.getByTestId('compose').waitFor();
});

test('a tab alone is the node, however late its browser grants the lock', async (t) => {
  const ann = await openProfile();
  t.after(() => ann.close());
  await ann.context.addInitScript(() => {
    const { request } = LockManager.prototype;
    let late = true;
    LockManager.prototype.request = /** @type {any} */ (
      async function (name, options, use) {
        if (!late) return request.call(this, name, options, use);
        late = false;
        await new Promise((resolve) => options.signal.addEventListener('abort', resolve));
        throw options.signal.reason;
      }
    );
  });
  await circle.startCircle(ann.page, relay, { name: 'Late', yourName: 'Ann' });
});

test('of many tabs that open at once one is the node', async (t) => {
  const ann = await openProfile();
  t.after(() => ann.close());
  await circle.startCircle(ann.page, relay, { name: 'Kitchen', yourName: 'Ann' });
  await ann.page.goto('about:blank');

  const tabs = await Promise.all(Array.from({ length: 4 }, () => ann.newTab()));
  await Promise.all(tabs.map((tab) => tab.goto(relay.page)));
  const count = async (is) => (await Promise.all(tabs.map(is))).filter(Boolean).length;
  await waitFor(async () => (await count(isNode)) + (await count(isRefused)) === tabs.length, undefined, 'all tabs decide');
  assert.equal(await count(isNode), 1);
});

test('a tab that hangs loses the profile to one that takes over', async (t) => {
  const ann = await openProfile();
  t.after(() => ann.close());
  await circle.startCircle(ann.page, relay, { name: 'Cellar', yourName: 'Ann' });
  await circle.post(ann.page, 'Before it hung.');
  const session = await ann.context.newCDPSession(ann.page);
  await session.send('Debugger.enable');
  await session.send('Debugger.pause');
  ann.page.evaluate(() => 0).catch(() => {}); // something to be stopped at

  const second = await ann.newTab();
  await second.goto(relay.page);
  await second.getByTestId('take-over').click();
  await circle.eachOnce(second, ['Before it hung.']);
  await circle.post(second, 'After it hung.');

  await session.send('Debugger.resume');
  await ann.page.getByTestId('take-over').waitFor();
  await circle.reaches(circle.entry(second, 'After it hung.'), 'settled');
  assert.equal(await second.locator('.forked').count(), 0);
});
