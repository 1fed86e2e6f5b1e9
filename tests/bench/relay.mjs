// The relay: how soon it is ready, and how much memory it holds with nobody there and with twenty browsers.

import { chromium } from 'playwright-core';

import { FLAGS, findChromium } from '../lib/chromium.mjs';
import * as circle from '../lib/circle.mjs';
import { median, memory, memoryRow, ms, report } from '../lib/measure.mjs';
import { startRelay } from '../lib/relay.mjs';
import { DEADLINE, waitFor } from '../lib/wait.mjs';

const STARTS = 5;
/** As many circles, of as many members: an invite lets ten in. */
const CIRCLES = 2;
const MEMBERS = 10;

async function alone() {
  const [times, held] = [[], []];
  for (let round = 0; round < STARTS; round += 1) {
    const begin = performance.now();
    const relay = await startRelay();
    times.push(performance.now() - begin);
    await (await fetch(relay.page)).arrayBuffer();
    held.push(memory(relay.pid));
    await relay.stop();
  }
  return [
    { what: `relay, start until ready, median of ${STARTS}`, value: `${ms(median(times))} (at most ${ms(Math.max(...times))})` },
    memoryRow('relay, memory idle', held.some((one) => one === null) ? null : Math.max(...held), 30),
  ];
}

/** Twenty nodes with a store each: contexts of one browser share nothing. */
async function withBrowsers() {
  const relay = await startRelay();
  const browser = await chromium.launch({ executablePath: findChromium(), headless: true, args: FLAGS });
  try {
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
    };
    await Promise.all(Array.from({ length: CIRCLES }, (_, number) => fill(number)));
    return [
      memoryRow(`relay, memory with ${CIRCLES * MEMBERS} browser nodes, each of which joined and wrote`, memory(relay.pid), 50),
      { what: 'relay, memory at its most until then', value: memoryRow('', memory(relay.pid, 'VmHWM'), 50).value },
    ];
  } finally {
    await browser.close();
    await relay.stop();
  }
}

report([...(await alone()), ...(await withBrowsers())]);
