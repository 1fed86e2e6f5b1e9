// The settlement is checked, not believed; and a relay that speaks another version is told from one that is off.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import * as circle from '../lib/circle.mjs';
import { startFounder, startRelayOfVersion } from '../lib/harness.mjs';
import { openProfile } from '../lib/profile.mjs';
import { startRelay } from '../lib/relay.mjs';
import { waitFor } from '../lib/wait.mjs';

/** @type {Awaited<ReturnType<typeof startRelay>>} */
let relay;
before(async () => {
  relay = await startRelay();
});
after(() => relay?.stop());

const LIES = ['entries-root', 'signature', 'prev', 'second', 'state-root'];

for (const lie of LIES) {
  test(`a founder's header with a wrong ${lie} is refused aloud, and the page goes on`, async (t) => {
    const founder = await startFounder(relay);
    t.after(() => founder.stop());
    const ben = await openProfile();
    t.after(() => ben.close());
    await circle.join(ben.page, founder.invite, 'Ben');
    const height = async () => (await circle.settled(ben.page)).height;

    await founder.does('settle');
    await waitFor(async () => (await height()) === 1, undefined, 'the honest header is taken');
    const root = (await circle.settled(ben.page)).root;
    assert.equal(await ben.page.locator('[data-testid=alert]').count(), 0, 'nothing is wrong yet');

    await founder.does('post Believe me');
    const post = circle.entry(ben.page, 'Believe me');
    await post.waitFor();
    const lies = Date.now();
    await founder.does(`lie ${lie}`);
    const { text } = await circle.alert(ben.page, lie === 'second' ? 'settlement-twice' : 'settlement-refused');
    assert.ok(Date.now() - lies >= 4_000, 'it is told once it has stood for a while');
    assert.ok(text.length > 20, `in words: ${text}`);
    assert.deepEqual(await circle.settled(ben.page), { height: 1, root }, 'nothing of the lie is taken');
    assert.notEqual(await post.getAttribute('data-status'), 'settled');

    // Writing and reading go on, and the honest header is taken all the same.
    await circle.reaches(await circle.post(ben.page, 'I do not'), 'sent');
    await founder.does('post Very well');
    await circle.entry(ben.page, 'Very well').waitFor();
    await founder.does('settle');
    await waitFor(async () => (await height()) === 2, undefined, 'the page goes on');
    if (lie !== 'second') return circle.reaches(post, 'settled');
    // Of two certified histories none is chosen: nothing is shown as settled any more.
    await circle.reaches(post, 'sent');
    assert.equal(await ben.page.locator('[data-testid=entry][data-status=settled]').count(), 0);
    await ben.page.reload();
    await post.waitFor();
    await circle.alert(ben.page, 'settlement-twice');
    assert.equal(await ben.page.locator('[data-testid=entry][data-status=settled]').count(), 0, 'after a reload neither');
  });
}

test('a relay of another version is told so, in clear words', async (t) => {
  const other = await startRelayOfVersion(99);
  t.after(() => other.stop());
  const ann = await openProfile();
  t.after(() => ann.close());
  await ann.page.goto(other.owner);
  await ann.page.getByTestId('circle-name').fill('Garden');
  await ann.page.getByTestId('your-name').fill('Ann');
  await ann.page.getByTestId('start').click();
  const { text } = await circle.alert(ann.page, 'relay-version');
  assert.match(text, /version/i);
  assert.match(text, /99/);
});
