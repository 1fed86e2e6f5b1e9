// From the click on an invite link until one is in: for a browser that never saw the page, and for one that returns.
//
// The page fills in and sends its own form as soon as it stands there, so nobody's typing is counted. All times are the
// page's own clock, which begins with the navigation.

import * as circle from '../lib/circle.mjs';
import { median, ms, report } from '../lib/measure.mjs';
import { openProfile } from '../lib/profile.mjs';
import { startRelay } from '../lib/relay.mjs';

const RUNS = 7;

/** Runs in the page before its own scripts: joins at once, and notes when the own entry and the compose box are there. */
function joinAtOnce(name) {
  const find = (id) => /** @type {any} */ (document.querySelector(`[data-testid="${id}"]`));
  const look = () => {
    const times = /** @type {any} */ (window);
    const [field, button] = [find('your-name'), find('join')];
    if (field && button && !button.disabled && !times.asked) {
      times.asked = performance.now();
      field.value = name;
      field.dispatchEvent(new Event('input', { bubbles: true }));
      // The framework takes the input in before the next task.
      setTimeout(() => button.click());
    }
    const entries = [...document.querySelectorAll('[data-testid="entry"]')];
    if (!times.joined && find('compose') && entries.some((entry) => entry.textContent?.includes(name))) {
      times.joined = performance.now();
    }
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true, attributes: true, characterData: true });
}

const relay = await startRelay();
const host = await openProfile();
try {
  const invite = await circle.startCircle(host.page, relay, { name: 'Garden', yourName: 'Ann' });
  const [form, cold, warm] = [[], [], []];
  for (let run = 0; run < RUNS; run += 1) {
    const friend = await openProfile();
    try {
      const name = `Friend ${run} of ${RUNS}`;
      const joined = async () => {
        await friend.page.waitForFunction(() => /** @type {any} */ (window).joined);
        return friend.page.evaluate(() => {
          const { asked = 0, joined } = /** @type {any} */ (window);
          return { asked, joined };
        });
      };
      await friend.page.addInitScript(joinAtOnce, name);
      await friend.page.goto(invite);
      const first = await joined();
      form.push(first.asked);
      cold.push(first.joined);
      await friend.page.reload();
      warm.push((await joined()).joined);
    } finally {
      await friend.close();
    }
  }
  const row = (what, times) => ({ what, value: `${ms(median(times))} (at most ${ms(Math.max(...times))})` });
  report([
    row(`page cold (fresh profile): invite link until its form is shown, median of ${RUNS}`, form),
    row(`page cold: invite link until joined, own entry shown, median of ${RUNS}`, cold),
    row(`page warm: reload until the timeline is shown, median of ${RUNS}`, warm),
  ]);
} finally {
  await host.close();
  await relay.stop();
}
