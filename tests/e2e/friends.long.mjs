// A friend's tab that is killed and opened again every few seconds loses nothing, neither its own nor what others write.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as passed } from 'node:timers/promises';

import { CHROMIUMS } from '../lib/chromium.mjs';
import * as circle from '../lib/circle.mjs';
import { openProfile, person } from '../lib/profile.mjs';
import { startRelay } from '../lib/relay.mjs';
import { waitFor } from '../lib/wait.mjs';

const MINUTES = 3;
/** From one kill to the next, in milliseconds. */
const LIFE = 10_000;
/** What each writes meanwhile. */
const POSTS = 4;

/** @param {import('node:test').TestContext} t @param {string[]} args of Chromium */
async function killedAgainAndAgain(t, args) {
  const relay = await startRelay();
  t.after(() => relay.kill());
  const ann = await person(t, { args });
  const ben = await person(t, { args });
  let cid = await openProfile(undefined, { args });
  t.after(() => cid.close());
  const invite = await circle.startCircle(ann.page, relay, { name: 'Garden', yourName: 'Ann' });
  await circle.join(ben.page, invite, 'Ben');
  await circle.join(cid.page, invite, 'Cid');

  const written = [];
  const write = async ({ page }, who, round) => {
    for (let i = 0; i < POSTS; i += 1) {
      const text = `${who} ${round}-${i}.`;
      await circle.post(page, text);
      written.push(text);
    }
  };
  const unfinished = [];
  const end = performance.now() + MINUTES * 60_000;
  let round = 0;
  for (; performance.now() < end; round += 1) {
    const others = [write(ann, 'Ann', round), write(ben, 'Ben', round)];
    await Promise.all([write(cid, 'Cid', round), passed(LIFE)]);
    // One more is on its way into the store: it may come or not, but in one piece, and everywhere alike.
    const text = `Cid ${round}, unfinished.`;
    unfinished.push(text);
    await cid.page.getByTestId('compose').fill(text);
    await cid.page.getByTestId('post').click();
    await cid.kill();
    cid = await openProfile(cid.dir, { args });
    await cid.page.goto(relay.page);
    await cid.page.getByTestId('compose').waitFor();
    await Promise.all(others);
  }
  t.diagnostic(`killed ${round} times, ${written.length} written`);

  const friends = [ann, ben, cid];
  await circle.agreed(...friends.map(({ page }) => page));
  for (const { page } of friends) {
    const direct = page.locator('[data-testid=peer][data-path=direct]');
    await waitFor(async () => (await direct.count()) === 2, undefined, 'both friends are linked directly');
    await circle.showAll(page);
    await circle.eachOnce(page, written);
  }
  const [first, ...rest] = await Promise.all(friends.map(({ page }) => circle.entries(page)));
  for (const other of rest) assert.deepEqual(other.map(({ id }) => id), first?.map(({ id }) => id));
  const shown = unfinished.map((text) => first?.filter((one) => one.text?.includes(text)).length ?? 0);
  assert.ok(shown.every((times) => times <= 1), `an unfinished one comes once or not at all: ${shown}`);
  t.diagnostic(`${shown.filter((times) => times === 1).length} unfinished ones came`);
  await circle.agreed(...friends.map(({ page }) => page));
}

for (const { named, args } of CHROMIUMS) {
  const what = "a friend's tab killed every ten seconds for minutes loses nothing";
  test(`${what}${named}`, { timeout: 20 * 60_000 }, (t) => killedAgainAndAgain(t, args));
}
