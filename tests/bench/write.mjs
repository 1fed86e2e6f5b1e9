// A post in one browser until another shows it, through the relay and directly; and until the writer's page says how far it
// came.
//
// Both pages run on this machine, so `performance.timeOrigin + performance.now()` is one clock. The time begins at the
// click on the form's button, and ends when the entry, or its new status, is in the document.

import * as circle from '../lib/circle.mjs';
import { ms, quantile, report } from '../lib/measure.mjs';
import { openProfile } from '../lib/profile.mjs';
import { startRelay } from '../lib/relay.mjs';
import { waitFor } from '../lib/wait.mjs';

const POSTS = 200;

/** Runs in a page: notes for each post when it was sent off, first shown, and first shown with each status. */
function watch() {
  const clock = () => performance.timeOrigin + performance.now();
  const times = /** @type {Record<string, Record<string, number>>} */ ({});
  const note = (text, what, now) => {
    const name = /post number \d+/.exec(text ?? '')?.[0];
    if (name) (times[name] ??= {})[what] ??= now;
  };
  document.addEventListener(
    'click',
    ({ target }) => {
      const box = /** @type {any} */ (document.querySelector('[data-testid="compose"]'));
      if (/** @type {Element} */ (target).closest('[data-testid="post"]')) note(box?.value, 'written', clock());
    },
    { capture: true },
  );
  new MutationObserver((changes) => {
    const now = clock();
    const seen = new Set();
    for (const { target, addedNodes } of changes) {
      for (const node of [target, ...addedNodes]) {
        const element = node instanceof Element ? node : node.parentElement;
        const own = element?.closest('[data-testid="entry"]');
        if (own) seen.add(own);
        else if (node !== target) element?.querySelectorAll('[data-testid="entry"]').forEach((entry) => seen.add(entry));
      }
    }
    for (const entry of seen) {
      note(entry.textContent, 'shown', now);
      note(entry.textContent, entry.getAttribute('data-status'), now);
    }
  }).observe(document.body, { childList: true, subtree: true, characterData: true, attributeFilter: ['data-status'] });
  /** @type {any} */ (window).times = times;
}

const times = (page) => page.evaluate(() => /** @type {any} */ (window).times);
const noted = (page, name, what) =>
  page.waitForFunction(([name, what]) => /** @type {any} */ (window).times[name]?.[what], [name, what], { polling: 5 });

/**
 * Posts in one browser, one after the other, that another shows; what both pages noted of each.
 * @param {boolean} direct whether they link directly, or have no WebRTC
 */
async function posts(direct) {
  const relay = await startRelay();
  const [ann, ben] = [await openProfile(undefined, { direct }), await openProfile(undefined, { direct })];
  try {
    const invite = await circle.startCircle(ann.page, relay, { name: 'Garden', yourName: 'Ann' });
    await circle.join(ben.page, invite, 'Ben');
    await circle.agreed(ann.page, ben.page);
    for (const { page } of [ann, ben]) {
      await page.locator(`[data-testid=peer][data-path=${direct ? 'direct' : 'relayed'}]`).waitFor();
      await page.evaluate(watch);
    }
    for (let number = 0; number < POSTS; number += 1) {
      const name = `post number ${number}`;
      await ann.page.getByTestId('compose').fill(name);
      await ann.page.getByTestId('post').click();
      await noted(ben.page, name, 'shown');
    }
    await waitFor(async () => Object.values(await times(ann.page)).every(({ settled }) => settled), undefined, 'all settle');
    const [written, read] = [await times(ann.page), await times(ben.page)];
    const all = Object.keys(written);
    if (all.length !== POSTS) throw new Error(`${all.length} posts were written of ${POSTS}`);
    return all.map((name) => ({ written: written[name], read: read[name] }));
  } finally {
    await Promise.all([ann.close(), ben.close()]);
    await relay.stop();
  }
}

const row = (what, posts, end) => {
  const took = posts.map((one) => end(one) - one.written.written);
  return { what, value: `${ms(quantile(took, 0.5))} (p99 ${ms(quantile(took, 0.99))})` };
};
const shown = ({ read }) => read.shown;
// What came late may have passed a status by.
const reached = (status) => ({ written }) =>
  Math.min(...circle.STATUSES.slice(circle.STATUSES.indexOf(status)).map((one) => written[one] ?? Infinity));

const relayed = await posts(false);
const direct = await posts(true);
report([
  row(`post in one browser until another shows it, through the relay, median of ${POSTS}`, relayed, shown),
  row(`post in one browser until another shows it, directly, median of ${POSTS}`, direct, shown),
  row('post until its writer sees *here*: durable in this browser', relayed, reached('here')),
  row('post until its writer sees *sent*: durable elsewhere too', relayed, reached('sent')),
  row('post until its writer sees *settled*', relayed, reached('settled')),
]);
