// The example of crates/webrtc, as its README says to run it: two browsers meet at a relay, chat, and go on without it.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { CHROMIUMS } from '../lib/chromium.mjs';
import { openProfile } from '../lib/profile.mjs';
import { serve } from '../lib/serve.mjs';
import { startJsRelay, startOurRelay } from './lib/rig.mjs';
import { DEADLINE } from '../lib/wait.mjs';

const FOLDER = join(import.meta.dirname, '../../crates/webrtc/example');

/**
 * A tab in a browser process of its own.
 * @param {import('node:test').TestContext} t @param {string} url @param {string[]} args of Chromium
 */
async function open(t, url, args) {
  const profile = await openProfile(undefined, { args });
  t.after(() => profile.close());
  const { page } = profile;
  await page.goto(url);
  const patience = { timeout: DEADLINE };
  return {
    /** Until it is so. @param {string} state */
    is: (state) => page.locator('#state', { hasText: state }).waitFor(patience),
    heard: (words) => page.locator('#heard li', { hasText: words }).waitFor(patience),
    async say(words) {
      await page.fill('#words', words);
      await page.press('#words', 'Enter');
    },
    invite: async () => (await page.getAttribute('#invite', 'href')) ?? '',
  };
}

describe('the example of crates/webrtc', () => {
  const relays = /** @type {const} */ ([
    ['ours', startOurRelay],
    ["js-libp2p's", startJsRelay],
  ]);
  for (const [whose, start, { named, args }] of relays.flatMap((one) => CHROMIUMS.map((chromium) => [...one, chromium]))) {
    test(`two tabs chat, and go on when the relay is gone: ${whose}${named}`, async (t) => {
      const relay = await start();
      const stop = () => ('kill' in relay ? relay.kill() : relay.stop());
      t.after(stop);
      const site = await serve(await readFile(join(FOLDER, 'index.html'), 'utf8'), { pkg: process.env.LEDGERNO_EXAMPLE ?? '' });
      t.after(() => site.close());

      const ann = await open(t, `${site.url}#${new URLSearchParams({ relay: relay.address })}`, args);
      await ann.is('reachable');
      const ben = await open(t, await ann.invite(), args);
      await Promise.all([ann.is('direct'), ben.is('direct')]);
      await ann.say('good morning');
      await ben.heard('good morning');

      await stop();
      await Promise.all([ann.is('gone'), ben.is('gone')]);
      await ann.say('still here?');
      await ben.heard('still here?');
      await ben.say('yes');
      await ann.heard('yes');
    });
  }
});
