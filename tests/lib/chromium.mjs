// Finds a Chromium, or installs it where that needs nobody's permission, and says how the tests start it.

import { readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { install, isRoot, mayInstall } from './debian.mjs';
import { runs, search } from './programs.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome', 'microsoft-edge'];
const PLACES = [
  '/usr/lib/chromium/chromium',
  '/snap/bin/chromium',
  '/opt/google/chrome/chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  join(process.env.PROGRAMFILES ?? 'C:\\Program Files', 'Google\\Chrome\\Application\\chrome.exe'),
];

/** Nothing of these reaches out or draws by hardware; as root Chromium's sandbox refuses to start. */
export const FLAGS = [
  ...(isRoot ? ['--no-sandbox'] : []),
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Chromium as it is, and as it will be once it lets nobody change the ICE credentials in a description. */
export const CHROMIUMS = [
  { named: '', args: [] },
  { named: ', ufrags left alone', args: ['--force-fieldtrials=WebRTC-NoSdpMangleUfrag/Enabled/'] },
];

/**
 * The path of a Chromium. Throws one line saying what to install if there is none.
 * @returns {string}
 */
export function findChromium() {
  const named = process.env.CHROMIUM;
  if (named) {
    if (!runs(named)) throw new Error(`CHROMIUM names ${named}, which is no program.`);
    return named;
  }
  const found = here();
  if (found) return found;
  if (mayInstall()) {
    install('chromium');
    const installed = here();
    if (installed) return installed;
  }
  throw new Error('Install Chromium or Google Chrome for the browser tests, or name one by CHROMIUM=/path/to/it.');
}

const here = () => search(NAMES, [...PLACES, ...ofPlaywright()]);

/** What somebody installed by Playwright's own command, newest first. */
function ofPlaywright() {
  const cache = process.env.PLAYWRIGHT_BROWSERS_PATH ?? join(homedir(), '.cache/ms-playwright');
  try {
    const versions = readdirSync(cache).filter((name) => /^chromium-\d+$/.test(name));
    return versions.sort().reverse().map((version) => join(cache, version, 'chrome-linux/chrome'));
  } catch {
    return []; // no such folder: nothing was installed that way
  }
}
