// A circle with more entries than a page keeps in memory: it starts with the newest, and the oldest are read back.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import * as circle from '../lib/circle.mjs';
import { startFounder } from '../lib/harness.mjs';
import { openProfile } from '../lib/profile.mjs';
import { startRelay } from '../lib/relay.mjs';
import { waitFor } from '../lib/wait.mjs';

/** More than a window of entries and those that make a snapshot. */
const POSTS = 1_500;

/** @type {Awaited<ReturnType<typeof startRelay>>} */
let relay;
before(async () => {
  relay = await startRelay();
});
after(() => relay?.stop());

/** The names of the circle's records. @param {import('playwright-core').Page} page @returns {Promise<string[]>} */
function records(page) {
  return page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const opening = indexedDB.open('ledgerno');
        opening.onerror = () => reject(opening.error);
        opening.onsuccess = () => {
          const asking = opening.result.transaction('records').objectStore('records').getAllKeys();
          asking.onerror = () => reject(asking.error);
          asking.onsuccess = () => {
            opening.result.close();
            resolve(asking.result.map((key) => String(/** @type {any} */ (key)[1])));
          };
        };
      }),
  );
}

test('a post from before the window is scrolled to, after a reload too', async (t) => {
  const founder = await startFounder(relay);
  t.after(() => founder.stop());
  await founder.does(`posts ${POSTS}`);
  await founder.does('settle');
  const ben = await openProfile();
  t.after(() => ben.close());
  const { page } = ben;
  await circle.join(page, founder.invite, 'Ben');
  await waitFor(async () => (await circle.settled(page)).height >= 1, undefined, 'what was written is settled');
  await waitFor(async () => (await records(page)).includes('snapshot'), undefined, 'a snapshot is made');
  await page.reload();
  const newest = circle.entry(page, `post ${POSTS - 1}.`);
  await newest.waitFor();
  assert.ok((await page.getByTestId('entry').count()) < 210, 'only the newest are drawn');

  // To the top, again and again, as one scrolls: what is seen there comes from the memory, then from the store.
  const first = page.locator('[data-testid=entry]', { hasText: 'post 0.' });
  await page.locator('.scroller').hover();
  await waitFor(
    async () => {
      await page.mouse.wheel(0, -100_000);
      return (await first.count()) > 0;
    },
    120_000,
    'the first post is shown',
  );
  await circle.reaches(first, 'settled');
  assert.equal(await newest.count(), 1, 'the newest is there still');
  const texts = (await circle.entries(page)).map(({ text }) => /post (\d+)\./.exec(text ?? '')?.[1]).filter(Boolean).map(Number);
  assert.deepEqual(texts, Array.from({ length: POSTS }, (_, at) => at), 'each post once, in order');
});
