// What comes in wrong gets a clear word, and harms nothing.

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import * as circle from '../lib/circle.mjs';
import { openProfile, person } from '../lib/profile.mjs';
import { freshFolder, startRelay } from '../lib/relay.mjs';
import { waitFor } from '../lib/wait.mjs';

const DAY_MS = 24 * 3_600_000;

/** A relay, and Ann with her circle on it; all end with the test. */
async function garden(t, options) {
  const here = { relay: await startRelay(options), ann: await openProfile(), invite: '' };
  t.after(async () => {
    await here.ann.close();
    await here.relay.kill();
  });
  here.invite = await circle.startCircle(here.ann.page, here.relay, { name: 'Garden', yourName: 'Ann' });
  return here;
}

/** Opens a link anew, as from an address bar. */
async function open(page, url) {
  await page.goto('about:blank');
  await page.goto(url);
}

/** Limits what an origin may store to so many bytes; without a number, to what there is. */
async function quota({ context, page }, origin, quotaSize) {
  const session = await context.newCDPSession(page);
  await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize });
}

/** The page does not let in by this link, and says why. */
async function refused(page, url, code) {
  await open(page, url);
  const said = await circle.alert(page, code);
  assert.ok(said.text.length > 20, 'a whole sentence');
  assert.equal(await page.getByTestId('join').count(), 0);
  return said;
}

test('links that are cut, foreign, used up, expired or unknown: each says so, and a good one still works', async (t) => {
  const { relay, ann, invite } = await garden(t);
  const once = await circle.newInvite(ann.page, { uses: 1 });
  assert.notEqual(once, invite);
  const ben = await person(t);
  await circle.join(ben.page, once, 'Ben');
  await circle.agreed(ann.page, ben.page);

  // Whose clock is a week late gives links that are over already.
  const late = await person(t);
  await late.context.addInitScript((by) => {
    const Real = Date;
    globalThis.Date = /** @type {any} */ (
      class extends Real {
        constructor(...parts) {
          // @ts-expect-error Date takes what it is given
          super(...(parts.length ? parts : [Real.now() - by]));
        }
        static now() {
          return Real.now() - by;
        }
      }
    );
  }, 8 * DAY_MS);
  const expired = await circle.startCircle(late.page, relay, { name: 'Cellar', yourName: 'Lou' });

  const eve = await person(t);
  const { page } = eve;
  const malformed = await refused(page, invite.slice(0, -7), 'invite-malformed');
  assert.match(malformed.text, /cut or mistyped/);
  const changed = invite.slice(0, -20) + (invite.at(-20) === 'A' ? 'B' : 'A') + invite.slice(-19);
  await refused(page, changed, 'invite-malformed');
  await refused(page, `${relay.url}/#/join/`, 'invite-malformed');
  await refused(page, `${relay.url}/#/join/https%3A%2F%2Fchat.example%2Fgroup%2F12`, 'invite-malformed');
  await refused(page, `${relay.url}/#/join/${'A'.repeat(100_000)}`, 'invite-malformed');
  await refused(page, `${relay.url}/#/join/%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%E0%A4%A`, 'invite-malformed');
  assert.match((await refused(page, once, 'invite-used-up')).text, /used/);
  assert.match((await refused(page, expired, 'invite-expired')).text, /ran out/);

  const before = await circle.settled(ann.page);
  await circle.join(page, invite, 'Eve');
  await circle.post(page, 'In at last.');
  await circle.entry(ann.page, 'In at last.').waitFor();
  const after = await circle.agreed(ann.page, ben.page, page);
  assert.ok(after.height > before.height);
  assert.equal(await ann.page.getByTestId('member').count(), 3);
});

test('a relay that lost its data, or is another one, does not know the invite', async (t) => {
  const { relay, invite } = await garden(t);
  const eve = await person(t);
  const dataDir = freshFolder();
  await relay.kill();
  for (const kept of ['relay.key', 'owner.token']) writeFileSync(join(dataDir, kept), readFileSync(join(relay.dataDir, kept)), { mode: 0o600 });
  const wiped = await relay.restart({ dataDir });
  t.after(() => wiped.kill());
  await refused(eve.page, invite, 'invite-unknown');

  const stranger = await wiped.restart({ dataDir: freshFolder() });
  t.after(() => stranger.kill());
  await refused(eve.page, invite, 'relay-other');
  rmSync(dataDir, { recursive: true });
});

test('a wrong owner token starts nothing', async (t) => {
  const relay = await startRelay();
  t.after(() => relay.kill());
  const ann = await person(t);
  const { page } = ann;
  for (const token of ['wrong', `${relay.owner.split('/').at(-1)}x`, 'x'.repeat(10_000)]) {
    await open(page, `${relay.url}/#/owner/${token}`);
    await page.getByTestId('circle-name').fill('Garden');
    await page.getByTestId('your-name').fill('Ann');
    await page.getByTestId('start').click();
    assert.match((await circle.alert(page, 'token-wrong')).text, /owner/);
  }
  // Names are looked at before anybody is asked.
  await open(page, relay.owner);
  await page.getByTestId('circle-name').fill('x'.repeat(65));
  await page.getByTestId('your-name').fill('Ann');
  await page.getByTestId('start').click();
  await circle.alert(page, 'name-invalid');
  await open(page, relay.page);
  assert.equal(await page.getByTestId('compose').count(), 0, 'no circle came of it');
  await circle.startCircle(page, relay, { name: 'Garden', yourName: 'Ann' });
});

test('a relay that is off: starting and joining say so, and work once it is back', async (t) => {
  let { relay, invite } = await garden(t);
  t.after(() => relay.kill());
  const [ben, eve] = [await person(t), await person(t)];
  await ben.page.goto(invite);
  await ben.page.getByTestId('your-name').fill('Ben');
  await eve.page.goto(relay.owner);
  await eve.page.getByTestId('circle-name').fill('Kitchen');
  await eve.page.getByTestId('your-name').fill('Eve');
  await relay.kill();

  await ben.page.getByTestId('join').click();
  assert.match((await circle.alert(ben.page, 'relay-unreachable')).text, /relay/);
  await eve.page.getByTestId('start').click();
  await circle.alert(eve.page, 'relay-unreachable');

  relay = await relay.restart();
  await ben.page.getByTestId('join').click();
  await ben.page.getByTestId('compose').waitFor();
  await eve.page.getByTestId('start').click();
  await eve.page.getByTestId('compose').waitFor();
});

test('a text over the limit is kept in the box, and a shorter one goes', async (t) => {
  const { ann } = await garden(t);
  const { page } = ann;
  const long = 'A long story. '.repeat(1500);
  await page.getByTestId('compose').fill(long);
  await page.getByTestId('post').click();
  const said = await circle.alert(page, 'body-too-large');
  assert.match(said.text, /21000 bytes.*16384/);
  assert.equal(await page.getByTestId('compose').inputValue(), long);
  await page.getByTestId('compose').fill('語'.repeat(5_462)); // three bytes each: two over the limit
  await page.getByTestId('post').click();
  await waitFor(async () => /16386 bytes/.test((await circle.alert(page)).text));
  await circle.reaches(await circle.post(page, '語'.repeat(5_461)), 'settled');
  await waitFor(async () => (await page.getByTestId('alert').count()) === 0, undefined, 'the notice goes');

  await circle.newInvite(page, { uses: 1 });
  assert.equal(await page.locator('.forked').count(), 0);
});

test('a full IndexedDB: nothing half written, and it goes on when there is space', async (t) => {
  const { relay, ann, invite } = await garden(t);
  await circle.reaches(await circle.post(ann.page, 'While there is space.'), 'settled');
  await ann.close();

  // Chromium believes for half a minute what it last knew about space, hence a new browser.
  const full = await person(t, {}, ann.dir);
  const { page } = full;
  await quota(full, relay.url, 1);
  await page.goto(relay.page);
  await page.getByTestId('compose').fill('When it is full.');
  await page.getByTestId('post').click();
  assert.match((await circle.alert(page, 'store-full')).text, /space/);
  assert.equal(await circle.entry(page, 'When it is full.').count(), 0, 'not shown, for it is not here');
  assert.equal(await page.getByTestId('compose').inputValue(), 'When it is full.');
  await circle.entry(page, 'While there is space.').waitFor();

  await quota(full, relay.url);
  await waitFor(async () => {
    if (await page.getByTestId('compose').inputValue()) await page.getByTestId('post').click();
    return (await circle.entry(page, 'When it is full.').count()) === 1;
  }, undefined, 'the post goes through');
  await circle.reaches(circle.entry(page, 'When it is full.'), 'settled');

  // Somebody whose browser is full from the start is told so, and gets in when it is not.
  const ben = await person(t);
  await quota(ben, relay.url, 1);
  await ben.page.goto(invite);
  await circle.alert(ben.page, 'store-full');
  await quota(ben, relay.url);
  await ben.page.getByRole('button', { name: 'Try again' }).click();
  await ben.page.getByTestId('your-name').fill('Ben');
  await ben.page.getByTestId('join').click();
  await circle.eachOnce(ben.page, ['While there is space.', 'When it is full.']);
  await circle.agreed(page, ben.page);
  assert.equal(await ben.page.locator('.forked').count(), 0);
});

test('a blocked or missing IndexedDB is said', async (t) => {
  const relay = await startRelay();
  t.after(() => relay.kill());
  const ways = {
    'it throws': () => {
      IDBFactory.prototype.open = () => {
        throw new DOMException('denied', 'SecurityError');
      };
    },
    'there is none': () => Object.defineProperty(window, 'indexedDB', { value: undefined }),
  };
  for (const way of Object.values(ways)) {
    const eve = await person(t);
    await eve.context.addInitScript(way);
    await eve.page.goto(relay.owner);
    assert.match((await circle.alert(eve.page, 'store-blocked')).text, /save/);
    await eve.close();
  }
});

test('a key file makes a second device the same person; a broken one does nothing', async (t) => {
  const { relay, ann, invite } = await garden(t);
  const ben = await person(t);
  await circle.join(ben.page, invite, 'Ben');
  await circle.post(ann.page, 'From the first device.');
  await circle.agreed(ann.page, ben.page);
  const download = ann.page.waitForEvent('download');
  await ann.page.getByTestId('export-identity').click();
  const file = readFileSync(await (await download).path());

  const phone = await person(t);
  const { page } = phone;
  await page.goto(relay.page);
  const give = (buffer) => page.getByTestId('import-identity').setInputFiles({ name: 'key.txt', mimeType: 'text/plain', buffer });
  const changed = Buffer.from(file);
  changed[40] = changed[40] === 0x30 ? 0x31 : 0x30;
  const broken = [Buffer.alloc(0), file.subarray(0, file.length - 9), changed, Buffer.alloc(3_000_000, 0xff), Buffer.from('Dear diary')];
  for (const buffer of broken) {
    await page.reload();
    await page.getByTestId('import-identity').waitFor({ state: 'attached' });
    await give(buffer);
    await circle.alert(page, 'import-malformed');
  }
  assert.equal(await page.getByTestId('compose').count(), 0);

  await give(file);
  await circle.eachOnce(page, ['From the first device.']);
  await circle.post(page, 'From the second device.');
  await circle.entry(ann.page, 'From the second device.').waitFor();
  await circle.post(ann.page, 'Me too.');
  await circle.agreed(ann.page, ben.page, page);
  for (const at of [ann.page, ben.page, page]) {
    await circle.eachOnce(at, ['From the first device.', 'From the second device.', 'Me too.']);
    assert.equal(await at.getByTestId('member').count(), 2, 'one person with two devices');
    assert.equal(await at.locator('.forked').count(), 0);
  }
  await page.reload();
  await circle.eachOnce(page, ['From the first device.', 'From the second device.', 'Me too.']);
});
