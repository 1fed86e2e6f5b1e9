// Who takes words back: the text is gone at everybody, and in its place stands, in everybody's language, that there was one.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as circle from '../lib/circle.mjs';
import { openProfile } from '../lib/profile.mjs';
import { startRelay } from '../lib/relay.mjs';
import { waitFor } from '../lib/wait.mjs';

const SECRET = 'The key lies under the blue pot';
const ENGLISH = 'A post by Ann, erased by its author';
const JAPANESE = 'Annさんの投稿(本人が消去しました)';

/** What stands where an entry is, once it is there. @param {import('playwright-core').Page} page */
async function said(page, id) {
  const entry = page.locator(`[data-testid=entry][data-entry-id="${id}"]`);
  await entry.waitFor();
  return (await entry.textContent()) ?? '';
}

/** Waits until a page says of an entry that it was erased, and shows its text nowhere. @param {import('playwright-core').Page} page */
async function erased(page, id, words) {
  await waitFor(async () => (await said(page, id)).includes(words), undefined, `the page says: ${words}`);
  assert.ok(!(await page.content()).includes(SECRET), 'the text is nowhere in the page');
}

test('a post that its author erases is gone at both friends, after a reload too, and a newcomer never sees it', async (t) => {
  const relay = await startRelay();
  const [ann, ben, eve] = await Promise.all(['en-US', 'ja-JP', 'ja-JP'].map((locale) => openProfile(undefined, { locale })));
  t.after(async () => {
    await Promise.all([ann.close(), ben.close(), eve.close()]);
    await relay.stop();
  });
  const invite = await circle.startCircle(ann.page, relay, { name: 'Garden', yourName: 'Ann' });
  await circle.join(ben.page, invite, 'Ben');
  const secret = await circle.post(ann.page, SECRET);
  await circle.entry(ben.page, SECRET).waitFor();
  await circle.post(ben.page, 'I water it');
  await circle.entry(ann.page, 'I water it').waitFor();
  await circle.agreed(ann.page, ben.page);
  const id = await secret.getAttribute('data-entry-id');

  // Only an own post can be erased, and it is said what that is before it is done.
  for (const at of [circle.entry(ann.page, 'I water it'), circle.entry(ben.page, SECRET)]) {
    await at.getByTestId('about-entry').click();
    await at.getByTestId('prove-entry').waitFor();
    assert.equal(await at.getByTestId('erase').count(), 0);
  }
  await secret.getByTestId('about-entry').click();
  await secret.getByTestId('erase').waitFor();
  assert.match((await secret.textContent()) ?? '', /That there was a post stays, and whoever has read it may have kept it\./);
  assert.ok((await said(ben.page, id)).includes(SECRET), 'nothing is erased yet');
  await secret.getByTestId('erase').click();
  await erased(ann.page, id, ENGLISH);
  await erased(ben.page, id, JAPANESE);

  // All goes on above it, and both hold the same.
  await circle.post(ann.page, 'Thank you');
  await circle.entry(ben.page, 'Thank you').waitFor();
  await circle.agreed(ann.page, ben.page);
  for (const page of [ann.page, ben.page]) await page.reload();
  await erased(ann.page, id, ENGLISH);
  await erased(ben.page, id, JAPANESE);
  const ids = (await circle.entries(ann.page)).map((entry) => entry.id);
  assert.deepEqual((await circle.entries(ben.page)).map((entry) => entry.id), ids);
  assert.ok(ids.indexOf(id) < ids.indexOf(await circle.entry(ann.page, 'I water it').getAttribute('data-entry-id')), 'its place stays');

  await circle.join(eve.page, invite, 'Eve');
  await circle.entry(eve.page, 'Thank you').waitFor();
  await erased(eve.page, id, JAPANESE);
});

test('what was erased while a friend slept is gone when it wakes', async (t) => {
  const relay = await startRelay();
  const ann = await openProfile();
  t.after(() => ann.close());
  t.after(() => relay.stop());
  const invite = await circle.startCircle(ann.page, relay, { name: 'Kitchen', yourName: 'Ann' });
  const ben = await openProfile(undefined, { locale: 'ja-JP' });
  await circle.join(ben.page, invite, 'Ben');
  const secret = await circle.post(ann.page, SECRET);
  await circle.entry(ben.page, SECRET).waitFor();
  await circle.agreed(ann.page, ben.page);
  const id = await secret.getAttribute('data-entry-id');
  await ben.close();

  // Nothing new is written: all that differs is what was erased.
  await secret.getByTestId('about-entry').click();
  await secret.getByTestId('erase').click();
  await erased(ann.page, id, ENGLISH);
  const again = await openProfile(ben.dir, { locale: 'ja-JP' });
  t.after(() => again.close());
  await again.page.goto(relay.page);
  await again.page.getByTestId('compose').waitFor();
  await erased(again.page, id, JAPANESE);
});
