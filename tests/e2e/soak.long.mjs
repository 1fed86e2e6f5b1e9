// Three people write for minutes while the relay and a browser are killed again and again.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as circle from '../lib/circle.mjs';
import { openProfile } from '../lib/profile.mjs';
import { startRelay } from '../lib/relay.mjs';

const ROUNDS = 8;
const POSTS = 8;

test('minutes of writing with killed relays and browsers lose nothing', { timeout: 20 * 60_000 }, async (t) => {
  let relay = await startRelay();
  let ann = await openProfile();
  let ben = await openProfile();
  const eve = await openProfile();
  t.after(async () => {
    for (const person of [ann, ben, eve]) await person.close();
    await relay.kill();
  });
  const invite = await circle.startCircle(ann.page, relay, { name: 'Garden', yourName: 'Ann' });
  await circle.join(ben.page, invite, 'Ben');
  await circle.join(eve.page, invite, 'Eve');

  const written = [];
  const write = async (page, who, round) => {
    for (let i = 0; i < POSTS; i += 1) {
      const text = `${who} ${round}-${i}.`;
      await circle.post(page, text);
      written.push(text);
    }
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    const writing = [write(ann.page, 'Ann', round), write(ben.page, 'Ben', round), write(eve.page, 'Eve', round)];
    if (round % 2 === 0) {
      await relay.kill('SIGKILL');
      await Promise.all(writing);
      relay = await relay.restart();
    } else {
      await Promise.all(writing);
      const killed = round % 4 === 1 ? ben : ann;
      await killed.kill();
      const again = await openProfile(killed.dir);
      await again.page.goto(relay.page);
      await again.page.getByTestId('compose').waitFor();
      if (killed === ben) ben = again;
      else ann = again;
    }
    t.diagnostic(`round ${round + 1} of ${ROUNDS}: ${written.length} written`);
  }

  // The page shows the newest hundred; the older ones on demand.
  for (const { page } of [ann, ben, eve]) {
    await circle.agreed(ann.page, page);
    await circle.showAll(page);
    await circle.eachOnce(page, written);
  }
  const ids = async ({ page }) => (await circle.entries(page)).map(({ id }) => id);
  assert.deepEqual(await ids(ann), await ids(ben));
  assert.deepEqual(await ids(ann), await ids(eve));
});
