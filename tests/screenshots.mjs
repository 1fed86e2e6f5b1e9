// Makes the pictures of the README again: a real relay, three real browsers, one small circle in each language.
//
//   LEDGERNO_RELAY=path/to/ledgerno-relay node tests/screenshots.mjs

import { join as path } from 'node:path';

import * as circle from './lib/circle.mjs';
import { openProfile } from './lib/profile.mjs';
import { startRelay } from './lib/relay.mjs';
import { waitFor } from './lib/wait.mjs';

const DOCS = path(import.meta.dirname, '../docs');

/** What is said and done, in order: `[who, text]`, or `[who, { to, amount, reason }]` for thanks. */
const STORIES = [
  {
    locale: 'en-GB',
    suffix: '',
    name: 'Flat 4b',
    people: ['Nora', 'Tomas', 'Mei'],
    acts: [
      [0, 'Welcome home! This is our board: chores, thanks, plans. Nobody owns it but us.'],
      [1, 'I fixed the kitchen tap. It no longer sings at night.'],
      [0, { to: 'Tomas', amount: 15, reason: 'the tap' }],
      [2, 'Dumplings on Sunday, bring an appetite'],
      [1, 'I am in. I will do the dishes, for once.'],
      [1, { to: 'Mei', amount: 10, reason: 'last Sunday’s soup' }],
      [2, { to: 'Nora', amount: 5, reason: 'watering my basil' }],
      [0, 'Plumber bill is paid, the receipt is on the fridge.'],
    ],
  },
  {
    locale: 'ja-JP',
    suffix: '.ja',
    name: '欅荘 402号室',
    people: ['あかり', '健太', 'みお'],
    acts: [
      [0, 'ようこそ！ 当番も、お礼も、予定も、ここに書いていこう。'],
      [1, '台所の蛇口を直したよ。もう夜中にぽたぽた鳴りません。'],
      [0, { to: '健太', amount: 15, reason: '蛇口の修理' }],
      [2, '日曜は餃子にします。おなかを空かせてきてね'],
      [1, '行く！ 洗い物は任せて。'],
      [1, { to: 'みお', amount: 10, reason: 'このまえのスープ' }],
      [2, { to: 'あかり', amount: 5, reason: 'バジルの水やり' }],
      [0, '水道の修理代は払いました。レシートは冷蔵庫に貼ってあります。'],
    ],
  },
];

for (const story of STORIES) await picture(story);
process.exit(0);

async function picture({ locale, suffix, name, people, acts }) {
  const relay = await startRelay();
  // The second picture is one of a phone, and so is the third person's browser.
  const profiles = await Promise.all(people.map((_, at) => openProfile(undefined, { locale, phone: at === 2 })));
  const pages = profiles.map((profile) => profile.page);
  await Promise.all(pages.map((page) => page.emulateMedia({ reducedMotion: 'reduce', colorScheme: 'light' })));
  await pages[0].setViewportSize({ width: 1080, height: 760 });
  await pages[2].setViewportSize({ width: 390, height: 760 });

  const invite = await circle.startCircle(pages[0], relay, { name, yourName: people[0] });
  for (const at of [1, 2]) {
    await circle.join(pages[at], invite, people[at]);
    await circle.agreed(...pages.slice(0, at + 1));
  }
  for (const [who, what] of acts) {
    if (typeof what === 'string') await circle.post(pages[who], what);
    else await circle.thank(pages[who], what.to, what.amount, what.reason);
    await circle.agreed(...pages);
  }
  for (const page of [pages[0], pages[2]]) {
    const others = people.length - 1;
    await waitFor(async () => (await page.locator('[data-testid=peer][data-path=direct]').count()) === others);
  }
  await pages[2].locator('nav button').first().click();
  for (const [at, kind] of [[0, ''], [2, '-phone']]) {
    await pages[at].evaluate(() => /** @type {HTMLElement} */ (document.activeElement)?.blur());
    await pages[at].mouse.move(0, 0);
    const file = path(DOCS, `screenshot${kind}${suffix}.png`);
    await pages[at].screenshot({ path: file, animations: 'disabled' });
    console.log(file);
  }
  await Promise.all(profiles.map((profile) => profile.close()));
  await relay.stop();
}
