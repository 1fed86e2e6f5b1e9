// A person's Firefox. Playwright drives none but of its own making; Firefox itself speaks WebDriver BiDi.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { connect, Page } from './bidi.mjs';
import { install, mayInstall } from './debian.mjs';
import { runs, search } from './programs.mjs';
import { freshFolder } from './relay.mjs';
import { DEADLINE, waitFor } from './wait.mjs';

const PLACES = ['/Applications/Firefox.app/Contents/MacOS/firefox', 'C:\\Program Files\\Mozilla Firefox\\firefox.exe'];
/** Without mDNS on a test's machine nobody resolves the names that addresses are hidden behind. */
const PREFERENCES = {
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'network.proxy.type': 0,
  'app.update.disabledForTesting': true,
  'datareporting.policy.dataSubmissionEnabled': false,
  'toolkit.telemetry.unified': false,
  'browser.safebrowsing.update.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,none',
  'intl.accept_languages': 'en-US, en',
};
const SAID = 200;

/** What a failed test left running ends with this process. */
const running = new Set();
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** The path of a Firefox, which is installed where that needs nobody's permission; or why there is none. */
export const findFirefox = () => (found ??= find());
/** @type {{ path?: string, lacking?: string } | undefined} */
let found;

function find() {
  const named = process.env.FIREFOX;
  if (named) return runs(named) ? { path: named } : { lacking: `FIREFOX names ${named}, which is no program.` };
  const here = () => search(['firefox-esr', 'firefox'], PLACES);
  if (!here() && mayInstall()) {
    try {
      install('firefox-esr');
    } catch (error) {
      return { lacking: `Firefox does not install: ${error instanceof Error ? error.message : error}` };
    }
  }
  const path = here();
  return path ? { path } : { lacking: 'Install Firefox, or name one by FIREFOX=/path/to/it.' };
}

/**
 * Opens a profile, which closes with the test; the same folder is the same person's browser.
 * @param {import('node:test').TestContext} t @param {string} [dir]
 */
export async function firefoxPerson(t, dir = freshFolder('firefox')) {
  const { path, lacking } = findFirefox();
  if (!path) throw new Error(lacking);
  const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`);
  writeFileSync(join(dir, 'user.js'), lines.join(''));
  const child = spawn(path, ['--headless', '--no-remote', '--profile', dir, '--remote-debugging-port', '0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    // Its folder for caches and settings, which it wants to own.
    env: { ...process.env, HOME: dir },
  });
  running.add(child);
  const exited = new Promise((resolve) => child.once('exit', resolve));
  exited.then(() => running.delete(child));
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (chunk) => (log = (log + chunk).slice(-65_536)));
  const listens = () => /^WebDriver BiDi listening on (ws:\S+)$/m.exec(log)?.[1];
  const address = await waitFor(() => listens() || child.exitCode !== null, DEADLINE, 'Firefox listens');
  if (typeof address !== 'string') throw new Error(`Firefox ended. It said:\n${log}`);

  const said = [];
  const session = await connect(`${address}/session`, ({ text, level }) => said.push(`${level}: ${text}`) > SAID && said.shift());
  /** As when the machine loses power: no handler of the page runs. */
  const kill = async () => {
    child.kill('SIGKILL');
    await exited;
    session.close();
  };
  t.after(kill);
  await session.send('session.new', { capabilities: {} });
  await session.send('session.subscribe', { events: ['log.entryAdded'] });
  const { contexts } = await session.send('browsingContext.getTree', {});
  // What `circle` takes for Playwright's.
  const page = /** @type {import('playwright-core').Page} */ (/** @type {unknown} */ (new Page(session, contexts[0].context)));
  const context = {
    /** @param {Function} made @param {any} [arg] */
    addInitScript: (made, arg = null) =>
      session.send('script.addPreloadScript', { functionDeclaration: `() => (${made})(${JSON.stringify(arg)})` }),
  };
  return { page, context, dir, said: () => said, kill };
}
