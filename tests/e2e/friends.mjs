// Friends' browsers link directly, and the circle lives on without its relay.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as circle from '../lib/circle.mjs';
import { person } from '../lib/profile.mjs';
import { startRelay } from '../lib/relay.mjs';
import { waitFor } from '../lib/wait.mjs';

/** Also as Chromium will be once it lets nobody change the ICE credentials in a description. */
const BROWSERS = [
  { named: '', args: [] },
  { named: ', ufrags left alone', args: ['--force-fieldtrials=WebRTC-NoSdpMangleUfrag/Enabled/'] },
];

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

for (const { named, args } of BROWSERS) {
  test(`two browsers go direct, live on without their relay, and do not notice when it is back${named}`, async (t) => {
    let relay = await startRelay();
    t.after(() => relay.kill());
    const ann = await person(t, { args });
    const ben = await person(t, { args });
    const invite = await circle.startCircle(ann.page, relay, { name: 'Garden', yourName: 'Ann' });
    await circle.join(ben.page, invite, 'Ben');
    for (const { page } of [ann, ben]) await direct(page, 1);
    await circle.agreed(ann.page, ben.page);

    await relay.kill('SIGKILL');
    await Promise.all([circle.cutOff(ann.page), circle.cutOff(ben.page)]);
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
  });
}
