// Many browser nodes at one relay, each with a store of its own: contexts of one browser share nothing.

import { chromium } from 'playwright-core';

import { FLAGS, findChromium } from './chromium.mjs';
import * as circle from './circle.mjs';
import { DEADLINE, waitFor } from './wait.mjs';

/** As many as one invite lets in, with the founder. */
export const MEMBERS = 10;

/**
 * Starts so many circles of ten, in which everybody writes and everybody sees it.
 * @param {{ owner: string }} relay @param {number} circles
 */
export async function openCircles(relay, circles) {
  const browser = await chromium.launch({ executablePath: findChromium(), headless: true, args: FLAGS });
  const open = async () => {
    const page = await (await browser.newContext({ locale: 'en-US' })).newPage();
    page.setDefaultTimeout(DEADLINE);
    return page;
  };
  const fill = async (number) => {
    const pages = [await open()];
    const invite = await circle.startCircle(pages[0], relay, { name: `Circle ${number}`, yourName: 'Founder' });
    while (pages.length < MEMBERS) {
      const page = await open();
      await circle.join(page, invite, `Friend ${pages.length}`);
      pages.push(page);
    }
    for (const [at, page] of pages.entries()) await circle.post(page, `hello from number ${at} of ${MEMBERS}`);
    for (const page of pages) {
      const shown = () => page.getByTestId('entry').filter({ hasText: 'hello from number' }).count();
      await waitFor(async () => (await shown()) === MEMBERS, undefined, 'everybody sees everybody');
    }
    return pages;
  };
  try {
    // One after the other: what is measured comes afterwards.
    const filled = [];
    while (filled.length < circles) filled.push(await fill(filled.length));
    return { circles: filled, browser, close: () => browser.close() };
  } catch (error) {
    await browser.close();
    throw error;
  }
}
