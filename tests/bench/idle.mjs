// What it costs to be there: bytes on links that nobody uses, and the processor's time of an idle page and of the relay
// with fifty idle nodes. Nobody writes; presence, pings, heartbeats and the browser's own checks of a link go on.

import { setTimeout as passed } from 'node:timers/promises';

import * as circle from '../lib/circle.mjs';
import { MEMBERS, openCircles } from '../lib/circles.mjs';
import { coreRow, memory, memoryRow, processorTime, report } from '../lib/measure.mjs';
import { openProfile } from '../lib/profile.mjs';
import { startRelay } from '../lib/relay.mjs';
import { waitFor } from '../lib/wait.mjs';

/** Until what meeting each other set off is over. */
const REST = 30_000;
/** Whole rounds of presence (25 s) and of pings (15 s). */
const WATCHED = 75_000;
const MINUTES = WATCHED / 60_000;
const CIRCLES = 5;
/** Of a core, in percent. */
const MOST = 1;

/** Waits until a page shows so many friends, and all of them directly linked. */
async function direct(page, friends) {
  const shown = page.locator('[data-testid=peer][data-path=direct]');
  await waitFor(async () => (await shown.count()) === friends, undefined, `${friends} friends linked directly`);
}

/** Keeps a page's peer connections, to ask them. */
function keep() {
  const made = (/** @type {any} */ (window).made = []);
  window.RTCPeerConnection = new Proxy(RTCPeerConnection, {
    construct(target, args) {
      made.push(new target(...args));
      return made.at(-1);
    },
  });
}

/** What a page's only direct link carried so far. @param {import('playwright-core').Page} page */
function carried(page) {
  return page.evaluate(async () => {
    const sum = { links: 0, bytes: 0, packets: 0, ours: 0, checks: 0 };
    for (const link of /** @type {any} */ (window).made.filter((one) => one.connectionState === 'connected')) {
      sum.links += 1;
      for (const one of (await link.getStats()).values()) {
        if (one.type === 'transport') {
          sum.bytes += one.bytesSent + one.bytesReceived;
          sum.packets += one.packetsSent + one.packetsReceived;
        } else if (one.type === 'data-channel') {
          sum.ours += one.bytesSent + one.bytesReceived;
        } else if (one.type === 'candidate-pair') {
          sum.checks += one.requestsSent + one.requestsReceived;
        }
      }
    }
    if (sum.links !== 1) throw new Error(`${sum.links} links stand, not one.`);
    return sum;
  });
}

/** Counts what goes over a page's WebSockets. @param {import('playwright-core').Page} page */
async function countFrames(page) {
  const session = await page.context().newCDPSession(page);
  const sum = { bytes: 0, frames: 0 };
  const count = ({ response: { opcode, payloadData } }) => {
    sum.frames += 1;
    sum.bytes += opcode === 1 ? Buffer.byteLength(payloadData) : Buffer.from(payloadData, 'base64').length;
  };
  session.on('Network.webSocketFrameSent', count);
  session.on('Network.webSocketFrameReceived', count);
  await session.send('Network.enable');
  return () => ({ ...sum });
}

/** The seconds that a browser's processes took so far, by type. @param {import('playwright-core').Browser | null} browser */
async function browserTimes(browser) {
  const session = await browser?.newBrowserCDPSession();
  if (!session) throw new Error('Playwright shows no browser.');
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  const sum = (infos) => infos.reduce((all, { cpuTime }) => all + cpuTime, 0);
  return { pages: sum(processInfo.filter(({ type }) => type === 'renderer')), all: sum(processInfo) };
}

/** Two friends and the relay. One page's links are watched, the other page's time, so that watching costs it nothing. */
async function two() {
  const relay = await startRelay();
  const [ann, ben] = [await openProfile(), await openProfile()];
  try {
    await ben.context.addInitScript(keep);
    const invite = await circle.startCircle(ann.page, relay, { name: 'Garden', yourName: 'Ann' });
    const frames = await countFrames(ben.page);
    await circle.join(ben.page, invite, 'Ben');
    for (const { page } of [ann, ben]) await direct(page, 1);
    await circle.agreed(ann.page, ben.page);
    await passed(REST);

    const look = async () => ({
      link: await carried(ben.page),
      relay: frames(),
      times: await browserTimes(ann.context.browser()),
      at: performance.now(),
    });
    const begin = await look();
    await passed(WATCHED);
    const end = await look();
    const seconds = (end.at - begin.at) / 1_000;

    const minute = (of) => Math.round(of / MINUTES);
    const link = (what) => minute(end.link[what] - begin.link[what]);
    const socket = (what) => minute(end.relay[what] - begin.relay[what]);
    const percent = (what) => (100 * (end.times[what] - begin.times[what])) / seconds;
    return [
      {
        what: 'idle direct link between browsers, a minute, both ways together',
        value: `${link('ours')} B in data channels; as DTLS ${link('bytes')} B in ${link('packets')} packets; ${link('checks')} checks by ICE`,
      },
      {
        what: 'idle link to the relay, a minute, both ways together',
        value: `${socket('bytes')} B in ${socket('frames')} frames of its WebSocket`,
      },
      coreRow('idle page in a circle of two, linked directly and to the relay: its process', percent('pages'), MOST),
      coreRow('the same, all processes of its browser', percent('all')),
    ];
  } finally {
    await Promise.all([ann.close(), ben.close()]);
    await relay.stop();
  }
}

/** Browsers as people have them: friends by tens, founded circles, every two of them linked directly. */
async function fifty() {
  const relay = await startRelay();
  try {
    const { circles, browser, close } = await openCircles(relay, CIRCLES);
    for (const pages of circles) {
      for (const page of pages) await direct(page, MEMBERS - 1);
      await circle.agreed(...pages);
    }
    await passed(REST);
    const look = async () => ({ relay: processorTime(relay.pid), times: await browserTimes(browser), at: performance.now() });
    const begin = await look();
    await passed(WATCHED);
    const end = await look();
    const held = memory(relay.pid);
    for (const page of circles.flat()) await direct(page, MEMBERS - 1);
    await close();

    const count = CIRCLES * MEMBERS;
    const percent = (from, to) => (100_000 * (to - from)) / (end.at - begin.at);
    const page = `idle page in a circle of ${MEMBERS}, linked directly with all others: mean of ${count}`;
    const host = `relay with ${count} idle browser nodes, in ${CIRCLES} circles of ${MEMBERS} friends, every two linked directly`;
    return [
      coreRow(page, percent(begin.times.pages, end.times.pages) / count, MOST),
      coreRow('the same, all processes of their browser', percent(begin.times.all, end.times.all) / count),
      begin.relay === null || end.relay === null
        ? { what: host, value: 'not known on this system' }
        : coreRow(host, percent(begin.relay, end.relay)),
      memoryRow('the same relay, memory', held, 80),
    ];
  } finally {
    await relay.stop();
  }
}

report([...(await two()), ...(await fifty())]);
