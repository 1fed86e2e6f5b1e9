// A phone's width, in Japanese, by keyboard alone.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as circle from '../lib/circle.mjs';
import { openProfile } from '../lib/profile.mjs';
import { startRelay } from '../lib/relay.mjs';
import { waitFor } from '../lib/wait.mjs';

const MOST_TABS = 40;

/** Walks on by Tab to what bears a testid, as who has no pointer does. @param {import('playwright-core').Page} page */
async function tabTo(page, testid) {
  await page.getByTestId(testid).first().waitFor({ state: 'attached' });
  for (let i = 0; i < MOST_TABS; i += 1) {
    if (await page.evaluate((wanted) => /** @type {HTMLElement} */ (document.activeElement)?.dataset?.testid === wanted, testid)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`No ${MOST_TABS} tabs lead to ${testid}.`);
}

/** Nothing lies beside the screen, and what is used lies on it. @param {import('playwright-core').Page} page */
async function fits(page, testid) {
  const beside = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(beside <= 0, `${beside} px lie beside the screen`);
  const box = await page.getByTestId(testid).first().boundingBox();
  assert.ok(box && box.x >= 0 && box.x + box.width <= 390 && box.y >= 0 && box.y + box.height <= 844, `${testid} at ${JSON.stringify(box)}`);
}

test('on a phone in Japanese: start, join, post and thank by keyboard', async (t) => {
  const relay = await startRelay();
  // Without direct links, for it is shown too what is when the relay is away and nobody else is there.
  const ann = await openProfile(undefined, { locale: 'ja-JP', direct: false });
  const ben = await openProfile(undefined, { locale: 'ja-JP', direct: false });
  t.after(async () => {
    await Promise.all([ann.close(), ben.close()]);
    await relay.kill();
  });
  for (const { page } of [ann, ben]) await page.setViewportSize({ width: 390, height: 844 });

  const a = ann.page;
  await a.goto(relay.owner);
  await tabTo(a, 'circle-name');
  await fits(a, 'start');
  assert.equal(await a.evaluate(() => document.documentElement.lang), 'ja');
  assert.match((await a.getByTestId('start').textContent()) ?? '', /はじめる/);
  await a.keyboard.type('庭の会');
  await tabTo(a, 'your-name');
  await a.keyboard.type('花子');
  await a.keyboard.press('Enter');
  const invite = await circle.inviteLink(a);
  // The invite is on the other pane; the empty timeline leads there.
  await a.locator('.empty button').press('Enter');
  await waitFor(() => fits(a, 'invite-link').then(() => true), undefined, 'the invite is on the screen');

  const b = ben.page;
  await b.goto(invite);
  await tabTo(b, 'your-name');
  await fits(b, 'join');
  await b.keyboard.type('太郎');
  await tabTo(b, 'join');
  await b.keyboard.press('Enter');
  await b.getByTestId('compose').waitFor();
  await fits(b, 'compose');
  await fits(b, 'post');

  await tabTo(b, 'compose');
  await b.keyboard.type('トマトが赤くなりました');
  await b.keyboard.press('Control+Enter');
  await circle.entry(a, 'トマトが赤くなりました').waitFor();
  await tabTo(a, 'compose');
  await a.keyboard.type('かごを持っていきます');
  await tabTo(a, 'post');
  await a.keyboard.press('Space');
  await circle.entry(b, 'かごを持っていきます').waitFor();
  await circle.agreed(a, b);
  await fits(a, 'compose');

  await tabTo(a, 'thanks-to');
  await a.keyboard.press('ArrowDown');
  await tabTo(a, 'thanks-amount');
  await a.keyboard.press('Control+a');
  await a.keyboard.type('3');
  await tabTo(a, 'thanks-reason');
  await a.keyboard.type('トマトのお礼');
  await a.keyboard.press('Enter');
  await circle.entry(b, 'トマトのお礼').waitFor();
  await circle.agreed(a, b);
  await ann.screenshot('phone-ja');

  const own = a.getByTestId('member').filter({ hasText: '花子' }).locator('i.online');
  assert.equal(await own.count(), 1);
  await relay.kill();
  await circle.cutOff(a);
  assert.equal(await own.count(), 0, 'without the relay nobody hears oneself');
});
