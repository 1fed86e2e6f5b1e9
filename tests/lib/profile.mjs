// A person's browser: a profile in a folder, which a test may close, kill and open again.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

import { FLAGS, findChromium } from './chromium.mjs';
import { freshFolder } from './relay.mjs';
import { DEADLINE } from './wait.mjs';

/** Where screenshots go; not committed. */
export const OUT = join(import.meta.dirname, '../out');

/**
 * Opens a profile; the same folder is the same person's browser.
 * @param {string} [dir]
 * @param {{ hosts?: Record<string, string>, locale?: string, phone?: boolean, args?: string[], direct?: boolean,
 *   executable?: string }} [options]
 *   hosts: names and where they lead, `{ 'circle.test': '127.0.0.1' }`; direct: false for a browser without WebRTC;
 *   executable: what is started in Chromium's place, and starts it
 */
export async function openProfile(
  dir = freshFolder('profile'),
  { hosts = {}, locale = 'en-US', phone = false, args = [], direct = true, executable = findChromium() } = {},
) {
  const rules = Object.entries(hosts).map(([name, address]) => `MAP ${name} ${address}`);
  const context = await chromium.launchPersistentContext(dir, {
    executablePath: executable,
    headless: true,
    locale,
    viewport: phone ? { width: 360, height: 740 } : { width: 1024, height: 800 },
    args: [...FLAGS, ...(rules.length ? [`--host-resolver-rules=${rules.join(',')}`] : []), ...args],
  });
  context.setDefaultTimeout(DEADLINE);
  if (!direct) await context.addInitScript(() => Reflect.deleteProperty(window, 'RTCPeerConnection'));
  const said = [];
  context.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
  context.on('weberror', (error) => said.push(`thrown: ${error.error()?.message}`));
  const { own } = await processes(context);
  /** Those that are stopped. @type {number[]} */
  const asleep = [];
  const wake = () => asleep.splice(0).forEach((pid) => process.kill(pid, 'SIGCONT'));
  const closed = new Promise((resolve) => context.once('close', () => resolve(undefined)));

  return {
    dir,
    context,
    /** The first tab. */
    page: context.pages()[0] ?? (await context.newPage()),
    /** What the pages wrote to the console, for a failure's message. */
    said: () => said.slice(-200),
    /** Another tab of the same profile. */
    newTab: () => context.newPage(),
    async close() {
      wake();
      await context.close();
    },
    /** As when the lid of a laptop is closed: nothing of the browser runs, and nobody is told, until `wake`. */
    async sleep() {
      for (const pid of (await processes(context)).all) {
        process.kill(pid, 'SIGSTOP');
        asleep.push(pid);
      }
    },
    wake,
    /** As when the machine loses power: no handler of the page runs. */
    async kill() {
      process.kill(own, 'SIGKILL');
      await closed;
    },
    /** Writes tests/out/<name>.png of the first tab. */
    async screenshot(name, page = context.pages()[0]) {
      mkdirSync(OUT, { recursive: true });
      await page?.screenshot({ path: join(OUT, `${name}.png`), fullPage: true });
    },
  };
}

/** The browser's processes: its own, and all. @param {import('playwright-core').BrowserContext} context */
async function processes(context) {
  const browser = context.browser();
  if (!browser) throw new Error('Playwright shows no browser of a persistent context.');
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  const found = processInfo.find((info) => info.type === 'browser');
  if (!found) throw new Error('Chromium shows no process of its own.');
  return { own: found.id, all: processInfo.map(({ id }) => id) };
}

/**
 * Opens a profile that closes with the test.
 * @param {import('node:test').TestContext} t @param {Parameters<typeof openProfile>[1]} [options] @param {string} [dir]
 */
export async function person(t, options = {}, dir = undefined) {
  const profile = await openProfile(dir, options);
  t.after(() => profile.close());
  return profile;
}
