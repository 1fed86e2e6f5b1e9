// Who settles: the relay, enlisted by one tap; another device in the place of a lost one; and what takes more than one
// person's word.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import * as circle from '../lib/circle.mjs';
import { openProfile, person } from '../lib/profile.mjs';
import { startRelay } from '../lib/relay.mjs';
import { waitFor } from '../lib/wait.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** @type {Awaited<ReturnType<typeof startRelay>>} */
let relay;
before(async () => {
  relay = await startRelay();
});
after(() => relay?.stop());

/** A circle of these people, the first its founder. */
async function found(people, name, names) {
  const [first, ...others] = people;
  const invite = await circle.startCircle(first.page, relay, { name, yourName: names[0] });
  for (const [at, other] of others.entries()) await circle.join(other.page, invite, names[at + 1]);
  await circle.agreed(...people.map(({ page }) => page));
  return invite;
}

/** The 24 words of who is here. @param {Page} page */
async function wordsOf(page) {
  await circle.show(page, 'ask-phrase');
  await circle.unfold(page, 'ask-phrase');
  await page.getByTestId('show-phrase').click();
  await page.getByTestId('phrase').waitFor();
  return page.getByTestId('phrase').locator('li').allTextContents();
}

/** Comes back by 24 words. @param {Page} page */
async function restore(page, words) {
  await page.goto(relay.page);
  await page.getByTestId('ask-restore').click();
  await page.getByTestId('restore-words').fill(words.join(' '));
  await page.getByTestId('restore').click();
  await page.getByTestId('compose').waitFor();
}

const relayVotes = (page) =>
  page.getByTestId('witness').evaluateAll((nodes) => nodes.length === 1 && nodes[0]?.querySelector('.relay') !== null);

test('the relay is enlisted by one tap, settles while the founder is away and after its restart, and is let go', async (t) => {
  const [ann, ben] = [await person(t), await person(t)];
  await found([ann, ben], 'Night shift', ['Ann', 'Ben']);
  await circle.unfold(ann.page, 'choose-witnesses');
  await ann.screenshot('enlist-before');
  await ann.page.getByTestId('enlist-relay').click();
  await waitFor(() => relayVotes(ann.page), undefined, 'the relay is the witness');
  await waitFor(async () => (await ann.page.getByTestId('relay-progress').getAttribute('data-step')) === '', undefined, 'nothing more is waited for');
  await circle.agreed(ann.page, ben.page);
  assert.equal(await circle.entry(ben.page, 'Ann asked the relay to help settle').count(), 1);
  assert.equal(await circle.entry(ben.page, 'added a device').count(), 0, 'the relay is nobody’s device');
  await ann.screenshot('enlist-after');

  await ann.page.goto('about:blank');
  const post = await circle.post(ben.page, 'Who is awake?');
  await circle.reaches(post, 'settled');
  relay = await relay.restart();
  const later = await circle.post(ben.page, 'And now?');
  await circle.reaches(later, 'settled');

  await ann.page.goto(relay.page);
  await circle.agreed(ann.page, ben.page);
  await circle.unfold(ann.page, 'choose-witnesses');
  await ann.page.getByTestId('dismiss-relay').click();
  await ann.page.getByTestId('enlist-relay').waitFor();
  await waitFor(async () => (await ann.page.getByTestId('relay-progress').textContent())?.includes('forgotten'), undefined, 'the relay has forgotten the keys');
  assert.equal(await relayVotes(ann.page), false);
  await circle.post(ben.page, 'By Ann again');
  await circle.agreed(ann.page, ben.page);
});

test('who does not know the owner’s link is asked for it, and a wrong one is refused in words', async (t) => {
  const ann = await person(t, { phone: true });
  await found([ann], 'Attic', ['Ann']);
  await ann.page.evaluate(() => localStorage.removeItem('ledgerno.owner'));
  await ann.page.reload();
  await ann.page.getByTestId('compose').waitFor();
  await circle.show(ann.page, 'choose-witnesses');
  await circle.unfold(ann.page, 'choose-witnesses');
  await ann.page.getByTestId('enlist-relay').click();
  await ann.page.getByTestId('owner-link').fill('http://127.0.0.1/#/owner/AAAAAAAAAAAAAAAAAAAAAA');
  await ann.page.getByTestId('owner-link-use').click();
  await circle.alert(ann.page, 'token-wrong');
  await ann.screenshot('enlist-token-phone');
  await ann.page.getByTestId('owner-link').fill(relay.owner);
  await ann.page.getByTestId('owner-link-use').click();
  await waitFor(() => relayVotes(ann.page), undefined, 'the relay is the witness');
});

test('a lost founder’s device: another one comes back by 24 words and settles in its place', async (t) => {
  const ann = await openProfile();
  const ben = await person(t);
  await found([ann, ben], 'Garden', ['Ann', 'Ben']);
  const words = await wordsOf(ann.page);
  await ann.kill();

  const again = await person(t, { phone: true });
  await restore(again.page, words);
  const post = await circle.post(ben.page, 'Who settles now?');
  await circle.show(again.page, 'choose-witnesses');
  await waitFor(async () => (await again.page.getByTestId('waits-for').textContent())?.includes('Ann'), undefined, 'it says what settling waits for');
  await circle.unfold(again.page, 'choose-witnesses');
  await again.page.getByTestId('renew').click();
  await again.screenshot('lost-witness-phone');
  assert.notEqual(await post.getAttribute('data-status'), 'settled');
  await again.page.getByTestId('confirm-renew').click();
  await circle.reaches(post, 'settled');
  await again.page.getByTestId('lost-witness').waitFor({ state: 'detached' });
  const { height } = await circle.settled(ben.page);
  assert.ok(height > 0);
  assert.equal(await ben.page.getByTestId('alert').count(), 0, 'nobody is alarmed');
});

test('a device is retired from another one of the same person', async (t) => {
  const ann = await person(t);
  await found([ann], 'Shelf', ['Ann']);
  await circle.unfold(ann.page, 'choose-witnesses');
  await ann.page.getByTestId('enlist-relay').click();
  await waitFor(() => relayVotes(ann.page), undefined, 'the relay is the witness');
  const words = await wordsOf(ann.page);

  const phone = await person(t, { phone: true, locale: 'ja-JP' });
  await restore(phone.page, words);
  await circle.agreed(ann.page, phone.page);
  await circle.show(phone.page, 'member');
  await phone.page.getByTestId('member').getByRole('button').first().click();
  await waitFor(async () => (await phone.page.getByTestId('device').count()) === 2, undefined, 'two devices, and the relay is none of them');
  await phone.page.getByTestId('retire').click();
  await phone.screenshot('retire-phone-ja');
  await phone.page.getByTestId('confirm').click();
  await waitFor(async () => (await phone.page.getByTestId('device').filter({ hasText: '引退済み' }).count()) === 1, undefined, 'it is retired');
  await phone.screenshot('retired-phone-ja');
});

test('more than half of the members remove one, without the founder', async (t) => {
  const people = [await person(t), await person(t, { locale: 'ja-JP' }), await person(t, { phone: true }), await person(t, { phone: true, locale: 'ja-JP' }), await person(t)];
  await found(people, '欅荘', ['Ann', 'Ben', 'Eve', 'みお', 'Max']);
  const [ann, ben, eve, mio, max] = people.map(({ page }) => page);
  await ben.getByTestId('member').filter({ hasText: 'Max' }).getByRole('button').first().click();
  await ben.getByTestId('remove-member').click();
  await people[1].screenshot('propose-ja');
  await ben.getByTestId('confirm').click();
  for (const [at, page] of [eve, mio].entries()) {
    await circle.show(page, 'proposal');
    await people[at + 2].screenshot(`proposal-${at}`);
    assert.equal(await page.getByTestId('proposal').getAttribute('data-kind'), 'remove');
    await page.getByTestId('consent').click();
  }
  const gone = ann.getByTestId('member').filter({ hasText: 'Max' });
  await waitFor(async () => (await gone.textContent())?.includes('removed'), undefined, 'Max is no member any more');
  await waitFor(async () => (await ann.getByTestId('proposal').count()) === 0, undefined, 'nothing is left to decide');
  await people[0].screenshot('removed');
  await circle.post(ben, 'Between us now');
  await circle.agreed(ann, ben);
  assert.equal(await circle.entry(max, 'Between us now').count(), 0, 'Max does not read what comes after');
});
