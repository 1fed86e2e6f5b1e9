// What the ledger is for: a ranking of thanks, stamps with proofs, invites taken back, members removed, and
// coming back by 24 words.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { blake3 } from '@noble/hashes/blake3.js';
import { bytesToHex } from '@noble/hashes/utils.js';

import * as circle from '../lib/circle.mjs';
import { openProfile, person } from '../lib/profile.mjs';
import { freshFolder, startRelay } from '../lib/relay.mjs';
import { waitFor } from '../lib/wait.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** @type {Awaited<ReturnType<typeof startRelay>>} */
let relay;
before(async () => {
  relay = await startRelay();
});
after(() => relay?.stop());

/** The ranking as it is shown: names and points, in order. @param {Page} page */
async function ranking(page) {
  const list = page.getByTestId('ranking');
  await list.scrollIntoViewIfNeeded();
  return list.locator('li[data-member-id]').evaluateAll((rows) =>
    rows.map((row) => ({ name: row.querySelector('.name')?.firstChild?.textContent?.trim(), points: Number(row.querySelector('b')?.textContent) })),
  );
}

test('thanks make a ranking, the same for both', async (t) => {
  const ann = await person(t);
  const ben = await person(t);
  const invite = await circle.startCircle(ann.page, relay, { name: 'Kitchen', yourName: 'Ann' });
  await circle.join(ben.page, invite, 'Ben');
  await circle.agreed(ann.page, ben.page);
  const gifts = Number(await ann.page.getByTestId('allowance').getAttribute('data-points'));
  assert.ok(gifts >= 0, 'what is left to give this week is shown beside the points');

  await circle.thank(ann.page, 'Ben', 7, 'for the soup');
  await circle.thank(ben.page, 'Ann', 2, 'for the bowl');
  await circle.thank(ann.page, 'Ben', 5, 'for the bread');
  for (const { page } of [ann, ben]) {
    const expected = [{ name: 'Ben', points: 12 }, { name: 'Ann', points: 2 }];
    await waitFor(async () => JSON.stringify(await ranking(page)) === JSON.stringify(expected), undefined, 'Ben stands first');
    await page.locator('[aria-labelledby=ranking] button').nth(1).click();
    assert.equal(await page.getByTestId('ranking').getAttribute('data-days'), '30');
    assert.deepEqual(await ranking(page), expected, 'all of it was in the last 30 days');
  }
  await waitFor(async () => {
    const left = Number((await ann.page.getByTestId('allowance').getAttribute('data-points').catch(() => null)) ?? 0);
    return left === Math.max(0, gifts - 12);
  }, undefined, 'what Ann gave is gone from what she may give');
});

test('three witnesses are named in one step, and settle together', async (t) => {
  const people = [await person(t), await person(t), await person(t)];
  const [ann, ben, eve] = people.map(({ page }) => page);
  const invite = await circle.startCircle(ann, relay, { name: 'Choir', yourName: 'Ann' });
  for (const [page, name] of /** @type {const} */ ([[ben, 'Ben'], [eve, 'Eve']])) await circle.join(page, invite, name);
  await circle.agreed(ann, ben, eve);
  for (const page of [ann, ben, eve]) {
    await waitFor(async () => (await page.getByTestId('witness').count()) === 1, undefined, 'the founder settles alone');
  }

  for (const page of [ben, eve]) {
    await circle.unfold(page, 'choose-witnesses');
    await page.getByTestId('offer-witness').click();
  }
  await circle.agreed(ann, ben, eve);
  await circle.unfold(ann, 'choose-witnesses');
  await waitFor(async () => (await ann.locator('[data-testid=candidate]:enabled:not(:checked)').count()) >= 2, undefined, 'two more are ready');
  for (const name of ['Ben', 'Eve']) await ann.locator('label', { hasText: name }).getByTestId('candidate').check();
  await ann.getByTestId('set-witnesses').click();
  for (const page of [ann, ben, eve]) {
    await waitFor(async () => (await page.getByTestId('witness').count()) === 3, undefined, 'three witnesses are shown');
  }
  const { height } = await circle.agreed(ann, ben, eve);
  await circle.post(ben, 'Settled by three');
  const later = await circle.agreed(ann, ben, eve);
  assert.ok(later.height > height, 'three settle what comes after');
  await people[0].screenshot('witnesses');
});

test('a stamped file is vouched for, and its proof holds in a browser of no circle', async (t) => {
  const ann = await person(t);
  const ben = await person(t);
  const invite = await circle.startCircle(ann.page, relay, { name: 'House', yourName: 'Ann' });
  await circle.join(ben.page, invite, 'Ben');
  await circle.agreed(ann.page, ben.page);

  const folder = freshFolder('files');
  const document = join(folder, 'lease.txt');
  writeFileSync(document, 'The flat is let to Ben.\n'.repeat(5_000));
  await ann.page.getByTestId('stamp-file').setInputFiles(document);
  const shown = ann.page.getByTestId('stamp').filter({ hasText: 'lease.txt' });
  await shown.waitFor();
  await circle.reaches(shown, 'settled');
  const hash = bytesToHex(blake3(readFileSync(document)));
  assert.equal(await shown.getAttribute('data-hash'), hash, 'it is the BLAKE3 of the file');

  const seen = ben.page.getByTestId('stamp').filter({ hasText: 'lease.txt' });
  await seen.getByTestId('vouch').click();
  await waitFor(async () => (await shown.textContent())?.includes('Ben vouches'), undefined, 'Ann sees that Ben vouches');
  // The same file again is no second stamp.
  await ben.page.getByTestId('stamp-file').setInputFiles(document);
  await ben.page.locator('[aria-labelledby=stamps] [role=status]', { hasText: 'lease.txt' }).waitFor();
  assert.equal(await ben.page.getByTestId('stamp').count(), 1);
  await ann.screenshot('stamps');

  const saving = ann.page.waitForEvent('download');
  await shown.getByTestId('export-proof').click();
  const proof = join(folder, (await saving).suggestedFilename());
  await (await saving).saveAs(proof);
  assert.match(proof, /lease\.txt\.ledgerno$/);

  // Somebody who is in no circle at all.
  const eve = await person(t);
  await eve.page.goto(relay.page);
  await eve.page.getByTestId('ask-verify').click();
  await eve.page.getByTestId('verify-file').setInputFiles(proof);
  const result = eve.page.getByTestId('verify-result');
  await result.waitFor();
  assert.equal(await result.getAttribute('data-holds'), 'true');
  assert.match((await result.textContent()) ?? '', /House/);
  assert.match((await result.textContent()) ?? '', /Ann/);
  await eve.page.getByTestId('verify-document').setInputFiles(document);
  await waitFor(async () => (await result.textContent())?.includes('lease.txt'), undefined, 'the document is the stamped one');
  assert.equal(await result.getAttribute('data-holds'), 'true');
  await eve.screenshot('proof');

  const other = join(folder, 'other.txt');
  writeFileSync(other, 'The flat is let to Eve.\n');
  await eve.page.getByTestId('verify-file').setInputFiles(proof);
  await eve.page.getByTestId('verify-document').setInputFiles(other);
  await waitFor(async () => (await result.getAttribute('data-holds')) === 'false', undefined, 'another document is told apart');

  const bytes = readFileSync(proof);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  const changed = join(folder, 'changed.ledgerno');
  writeFileSync(changed, bytes);
  await eve.page.getByTestId('verify-file').setInputFiles(changed);
  await waitFor(async () => (await result.textContent())?.includes('changed.ledgerno'), undefined, 'the changed file is judged');
  assert.equal(await result.getAttribute('data-holds'), 'false', 'one changed bit proves nothing');
});

test('an invite is taken back, and a member is removed', async (t) => {
  const [ann, ben, eve] = [await person(t), await person(t), await person(t)];
  const invite = await circle.startCircle(ann.page, relay, { name: 'Shed', yourName: 'Ann' });
  await circle.join(ben.page, invite, 'Ben');
  await circle.agreed(ann.page, ben.page);
  assert.equal(await ann.page.getByTestId('witness').count(), 1, 'the founder settles alone');
  for (const [{ page }, role] of /** @type {const} */ ([[ann, 'witness'], [ben, 'light']])) {
    await page.locator('summary', { hasText: 'Rules of the circle' }).click();
    assert.equal(await page.getByTestId('role').getAttribute('data-role'), role);
  }
  assert.match((await ann.page.getByTestId('waits-for').textContent()) ?? '', /alone/);

  await circle.unfold(ann.page, 'live-invites');
  await ann.page.getByTestId('revoke').first().click();
  await waitFor(async () => (await ann.page.getByTestId('invite-link').count()) === 0, undefined, 'no link is offered any more');
  await circle.agreed(ann.page, ben.page);
  await eve.page.goto(invite);
  // Whether the relay still keeps the link's parcel or not.
  await eve.page.locator('[data-testid=your-name], [data-testid=alert]').first().waitFor();
  if (await eve.page.getByTestId('your-name').isVisible()) {
    await eve.page.getByTestId('your-name').fill('Eve');
    await eve.page.getByTestId('join').click();
  }
  await waitFor(async () => {
    const refused = (await eve.page.getByTestId('alert').count()) > 0;
    const shown = ann.page.getByTestId('member').filter({ hasText: 'Eve' });
    return refused || (await shown.filter({ hasText: 'taken back' }).count()) > 0;
  }, undefined, 'nobody comes in by it');

  await ann.page.getByTestId('member').filter({ hasText: 'Ben' }).getByRole('button').first().click();
  await ann.page.getByTestId('remove-member').click();
  await ann.page.getByTestId('confirm').click();
  const gone = ann.page.getByTestId('member').filter({ hasText: 'Ben' });
  await waitFor(async () => (await gone.textContent())?.includes('removed'), undefined, 'Ben is no member any more');
  await circle.post(ann.page, 'Between us now');
  await circle.agreed(ann.page);
  assert.equal(await circle.entry(ben.page, 'Between us now').count(), 0, 'Ben does not read what comes after');
});

test('24 words bring a person back in another browser, with all that was written', async (t) => {
  const ann = await openProfile();
  const ben = await person(t);
  const invite = await circle.startCircle(ann.page, relay, { name: 'Garden', yourName: 'Ann' });
  await circle.join(ben.page, invite, 'Ben');
  await circle.post(ann.page, 'The seeds are in the shed');
  await circle.post(ben.page, 'I bring water');
  await circle.thank(ben.page, 'Ann', 3, 'for the seeds');
  await circle.agreed(ann.page, ben.page);
  const balance = await circle.balance(ann.page);

  await circle.unfold(ann.page, 'ask-phrase');
  assert.equal(await ann.page.getByTestId('phrase').count(), 0, 'nothing is shown before one asks');
  await ann.page.getByTestId('show-phrase').click();
  await ann.page.getByTestId('phrase').waitFor();
  const words = await ann.page.getByTestId('phrase').locator('li').allTextContents();
  assert.equal(words.length, 24);
  assert.ok(words.every((word) => /^[a-z]{3,8}$/.test(word)), words.join(' '));
  assert.ok(!ann.page.url().includes(words[0] ?? ''), 'they are not in the address');
  assert.ok(!ann.said().join('\n').includes(words.slice(0, 2).join(' ')), 'they are not in the console');
  await ann.close();

  const again = await person(t);
  await again.page.goto(relay.page);
  await again.page.getByTestId('ask-restore').click();
  await again.page.getByTestId('restore-words').fill(words.with(3, 'zzzz').join(' '));
  await again.page.getByTestId('restore').click();
  assert.match((await circle.alert(again.page, 'words-wrong')).text, /4.*zzzz/, 'the wrong word is named');
  await again.page.getByTestId('restore-words').fill(words.map((word, i) => `${i + 1}. ${word.toUpperCase()}`).join('\n'));
  await again.page.getByTestId('restore').click();
  await circle.entry(again.page, 'The seeds are in the shed').waitFor();
  await circle.entry(again.page, 'I bring water').waitFor();
  await waitFor(async () => (await circle.balance(again.page)) === balance, undefined, 'the balance is as it was');
  await circle.post(again.page, 'I am back');
  await circle.entry(ben.page, 'I am back').waitFor();
  const members = ben.page.getByTestId('member');
  assert.equal(await members.count(), 2, 'nobody has come twice');
});
