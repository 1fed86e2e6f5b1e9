// Proof files: each kind is told in words that are true of it, in both languages, and what people write and do is proven to
// who is in no circle.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import * as circle from '../lib/circle.mjs';
import { startFounder } from '../lib/harness.mjs';
import { person } from '../lib/profile.mjs';
import { startRelay } from '../lib/relay.mjs';
import { waitFor } from '../lib/wait.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** @type {Awaited<ReturnType<typeof startRelay>>} */
let relay;
before(async () => {
  relay = await startRelay();
});
after(() => relay?.stop());

/** Proof files of every kind, by what the fixtures that freeze their bytes say of them. */
const [, topic = ''] = readFileSync(new URL('../../crates/ledger/conformance/proofs.txt', import.meta.url), 'utf8').split('format proof file');
const FILES = [...topic.matchAll(/^(accept|refuse) ([0-9a-f]+) (.+)$/gm)].map(([, verdict, hex = '', what = '']) => ({ verdict, what, bytes: Buffer.from(hex, 'hex') }));
const NEWER = Buffer.from(FILES[0]?.bytes ?? '');
NEWER[8] = (NEWER[8] ?? 0) + 1;

/** By kind and language: what is said of it. */
const TOLD = /** @type {Record<string, Record<'en-US' | 'ja-JP', RegExp[]>>} */ ({
  'that the first header is settled': {
    'en-US': [/^The circle “circle” had settled height 1 on/, /1 of 1 witness\b/, /from the circle’s founding on/, /one witness alone/],
    'ja-JP': [/^サークル「circle」は、.*に高さ1まで確定していました/, /証人1台のうち1台の投票/, /証人が1台だけ/],
  },
  'that the founder is a member': {
    'en-US': [/was a member of “circle” on/, /Points then/, /Joined/, /who the people are/],
    'ja-JP': [/の時点で「circle」のメンバーでした/, /その時点のポイント/, /参加/, /本当は誰なのか/],
  },
  'that nobody of this key is a member': {
    'en-US': [/^Nobody with this identity was a member of “circle” on/, /0f0f0f0f/],
    'ja-JP': [/この鍵の人は、.*の時点で「circle」のメンバーではありませんでした/, /0f0f0f0f/],
  },
  'that the guest thanked the founder, opened': {
    'en-US': [/wrote thanks of \d+ points?, and they were settled on/, /by the author’s own clock/, /Thanks to/, /that it took effect/],
    'ja-JP': [/ポイントのありがとうを書き、.*に確定しました/, /本人の時計による/, /贈った相手の鍵/, /効力があったこと/],
  },
  'the same, sealed': {
    'en-US': [/wrote something that this file does not show, and it was settled on/, /when it was written: that is the author’s word/],
    'ja-JP': [/内容はこのファイルに含まれていません/, /いつ書かれたか。それは書いた人の申告です/],
  },
  'that a device forked, in no header': {
    'en-US': [/^A device signed two different entries for one place/, /own two signatures, and needs no witness/, /whose device it is/],
    'ja-JP': [/^ある端末が、同じ位置に二つの異なる書き込みを署名しました/, /証人の投票は要りません/, /誰の端末なのか/],
  },
  'that a device of the guest forked': {
    'en-US': [/^A device of .+ signed two different entries/, /Whose it is rests on the votes of 1 of 1 witness\b/, /who the people are/],
    'ja-JP': [/さんの端末が、同じ位置に/, /持ち主についての根拠は、.*証人1台のうち1台/, /本当は誰なのか/],
  },
  'that the guest stamped the document 58 and the founder vouched': {
    'en-US': [/^A document with this fingerprint existed on .*: its stamp was settled then/, /Stamped by/, /Vouched for by/, /5858/],
    'ja-JP': [/^この指紋をもつ文書は、.*の時点で存在していました/, /スタンプした人/, /保証人/, /5858/],
  },
  'the first, a byte changed': { 'en-US': [/is damaged/], 'ja-JP': [/は壊れています/] },
  'settled by who is no witness': { 'en-US': [/what it claims does not follow/], 'ja-JP': [/主張が中身と合いません/] },
  'not even its first word': { 'en-US': [/is no proof file/], 'ja-JP': [/は証明ファイルではありません/] },
});

for (const locale of /** @type {const} */ (['en-US', 'ja-JP'])) {
  test(`every kind of proof file is told in its own words: ${locale}`, async (t) => {
    const { page, screenshot } = await person(t, { locale, phone: locale === 'ja-JP' });
    await page.goto(relay.page);
    await page.getByTestId('ask-verify').click();
    const result = page.getByTestId('verify-result');
    /** What is said of a file. @param {Buffer} buffer @param {string} name */
    const told = async (buffer, name) => {
      await page.getByTestId('verify-file').setInputFiles({ name: `${name}.ledgerno`, mimeType: '', buffer });
      await waitFor(async () => (await result.count()) === 1 && (await result.getAttribute('data-file')) === `${name}.ledgerno`, undefined, `${name} is judged`);
      return { text: ((await result.innerText()) ?? '').trim(), holds: await result.getAttribute('data-holds') };
    };

    const kinds = FILES.filter(({ verdict }) => verdict === 'accept').map(({ what }) => what);
    assert.deepEqual(kinds.filter((what) => !TOLD[what]), [], 'a kind without words');
    let round = 0;
    for (const [what, words] of Object.entries(TOLD)) {
      const file = FILES.find((one) => one.what === what);
      assert.ok(file, what);
      const { text, holds } = await told(file.bytes, `file ${round++}`);
      assert.equal(holds, String(file.verdict === 'accept'), `${what}: ${text}`);
      for (const word of words[locale]) assert.match(text, word, what);
      // The fixtures' entries were written in 1970, and their stamp was settled then; nothing else was.
      const strange = /stamped|opened|sealed/.test(what) ? /\bundefined\b|\bInvalid\b|\bNaN\b/ : /\b1970\b|\bundefined\b|\bInvalid\b|\bNaN\b/;
      assert.doesNotMatch(text, strange, what);
      assert.doesNotMatch(text, /\b0 of 0\b|0台のうち/, what);
      const stamp = /existed on|存在していました/.test(text);
      assert.equal(stamp, what.includes('stamped'), `${what}: ${text}`);
      if (file.verdict === 'accept') assert.ok(await page.getByTestId('proof-limits').locator('li').count(), 'what it does not prove');
      if (what.includes('opened')) await screenshot(`proof-thanks-${locale}`);
      if (what.includes('guest forked')) await screenshot(`proof-fork-${locale}`);
    }
    const newer = await told(NEWER, 'newer');
    assert.equal(newer.holds, 'false');
    assert.match(newer.text, locale === 'en-US' ? /newer version/ : /新しいバージョン/);
    assert.doesNotMatch(newer.text, /damaged|proves nothing|壊れて|証明にもなりません/, 'a newer file is not called damaged');
  });
}

/** Saves what a press gives, and shows it to somebody of no circle; answers what they are told. */
async function shown(t, page, press) {
  const saving = page.waitForEvent('download');
  await press();
  const download = await saving;
  assert.match(download.suggestedFilename(), /\.ledgerno$/);
  const eve = await person(t);
  await eve.page.goto(relay.page);
  await eve.page.getByTestId('ask-verify').click();
  await eve.page.getByTestId('verify-file').setInputFiles(await download.path());
  const result = eve.page.getByTestId('verify-result');
  await result.waitFor();
  assert.equal(await result.getAttribute('data-holds'), 'true');
  return { ...eve, kind: await result.getAttribute('data-kind'), text: (await result.innerText()) ?? '' };
}

test('a post and thanks are saved as proofs, and say the same in a browser of no circle', async (t) => {
  const [ann, ben] = [await person(t), await person(t)];
  const invite = await circle.startCircle(ann.page, relay, { name: 'House', yourName: 'Ann' });
  await circle.join(ben.page, invite, 'Ben');
  const post = await circle.post(ann.page, 'I owe Ben a cake');
  await circle.entry(ben.page, 'I owe Ben a cake').waitFor();
  await circle.agreed(ann.page, ben.page);
  await circle.reaches(post, 'settled');

  const theirs = circle.entry(ben.page, 'I owe Ben a cake');
  await circle.reaches(theirs, 'settled');
  await theirs.getByTestId('about-entry').click();
  await theirs.getByTestId('prove-entry').waitFor();
  await ben.screenshot('prove-entry');
  const eve = await shown(t, ben.page, () => theirs.getByTestId('prove-entry').click());
  assert.equal(eve.kind, 'entry');
  assert.equal(await eve.page.getByTestId('proof-text').innerText(), 'I owe Ben a cake');
  assert.match(eve.text, /Ann wrote this text, and it was settled on/);
  assert.match(eve.text, /House/);
  await eve.screenshot('proof-post');

  await circle.thank(ann.page, 'Ben', 3, 'for waiting');
  await circle.agreed(ann.page, ben.page);
  const thanks = circle.entry(ben.page, 'for waiting');
  await circle.reaches(thanks, 'settled');
  await thanks.getByTestId('about-entry').click();
  const other = await shown(t, ben.page, () => thanks.getByTestId('prove-entry').click());
  assert.match(other.text, /Ann wrote thanks of 3 points/);
  assert.equal(await other.page.getByTestId('proof-text').innerText(), 'for waiting');
});

test('a fork is shown to others by a file', async (t) => {
  const founder = await startFounder(relay);
  t.after(() => founder.stop());
  const ben = await person(t);
  await circle.join(ben.page, founder.invite, 'Ben');
  await founder.does('settle');
  await waitFor(async () => (await circle.settled(ben.page)).height === 1, undefined, 'the join is settled');
  await founder.does('post One thing');
  await circle.entry(ben.page, 'One thing').waitFor();
  await founder.does('fork');
  const liar = ben.page.getByTestId('member').filter({ hasText: 'Forked' });
  await liar.waitFor();
  await liar.getByRole('button').first().click();
  await liar.getByTestId('prove-fork').waitFor();
  await ben.screenshot('prove-fork');
  const eve = await shown(t, ben.page, () => liar.getByTestId('prove-fork').click());
  assert.equal(eve.kind, 'fork');
  assert.match(eve.text, /A device of Liar signed two different entries for one place of its chain/);
  assert.doesNotMatch(eve.text, /One thing/, 'it shows no text');
});
