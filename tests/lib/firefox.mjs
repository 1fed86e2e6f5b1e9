// A person's Firefox, driven over WebDriver BiDi, which Firefox speaks by itself. Its page does what tests/lib/circle.mjs
// asks of Playwright's, and no more.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import WebSocket from 'ws';

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
 * Opens a new profile, which closes with the test.
 * @param {import('node:test').TestContext} t
 */
export async function firefoxPerson(t) {
  const { path, lacking } = findFirefox();
  if (!path) throw new Error(lacking);
  const dir = freshFolder('firefox');
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
  t.after(async () => {
    session.close();
    child.kill('SIGKILL');
    await exited;
  });
  await session.send('session.new', { capabilities: {} });
  await session.send('session.subscribe', { events: ['log.entryAdded'] });
  const { contexts } = await session.send('browsingContext.getTree', {});
  // What `circle` takes for Playwright's.
  const page = /** @type {import('playwright-core').Page} */ (/** @type {unknown} */ (new Page(session, contexts[0].context)));
  return { page, said: () => said };
}

/** Commands are answered by their numbers. @param {string} url @param {(entry: any) => void} entryAdded */
async function connect(url, entryAdded) {
  const socket = new WebSocket(url);
  const waiting = new Map();
  let last = 0;
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  socket.on('message', (data) => {
    const { id, method, params, result, error, message } = JSON.parse(String(data));
    if (method === 'log.entryAdded') return entryAdded(params);
    const command = waiting.get(id);
    waiting.delete(id);
    if (error) command?.reject(new Error(`${command.method}: ${error}: ${message}`));
    else command?.resolve(result);
  });
  socket.once('close', () => waiting.forEach((command) => command.reject(new Error('Firefox is gone.'))));
  const send = (method, params) =>
    new Promise((resolve, reject) => {
      waiting.set((last += 1), { method, resolve, reject });
      socket.send(JSON.stringify({ id: last, method, params }));
    });
  return { send, close: () => socket.terminate() };
}

class Page {
  constructor(session, context) {
    Object.assign(this, { session, context });
  }

  goto = (url) => this.session.send('browsingContext.navigate', { context: this.context, url, wait: 'complete' });
  getByTestId = (testid) => new Locator(this, { testid });

  /** Runs a function in the page; what goes in and out is JSON. */
  async evaluate(made, ...args) {
    const { exceptionDetails, result } = await this.session.send('script.callFunction', {
      functionDeclaration: `async (args) => JSON.stringify((await (${made})(...JSON.parse(args))) ?? null)`,
      arguments: [{ type: 'string', value: JSON.stringify(args) }],
      target: { context: this.context },
      awaitPromise: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.text);
    return JSON.parse(result.value);
  }
}

class Locator {
  constructor(page, { testid, hasText = '' }) {
    Object.assign(this, { page, testid, hasText });
  }

  first = () => this;
  filter = ({ hasText }) => new Locator(this.page, { testid: this.testid, hasText });
  evaluateAll = (made, arg) =>
    this.page.evaluate(
      `(testid, text, arg) => (${made})([...document.querySelectorAll(\`[data-testid=\${testid}]\`)]
        .filter((node) => node.textContent.toLowerCase().includes(text)), arg)`,
      this.testid,
      this.hasText.toLowerCase(),
      arg ?? null,
    );
  waitFor = ({ state = 'visible' } = {}) =>
    waitFor(
      () => this.evaluateAll((nodes, state) => nodes.some((node) => state === 'attached' || node.checkVisibility()), state),
      undefined,
      `${this.testid} is ${state}`,
    );
  async evaluate(made, arg) {
    await this.waitFor({ state: 'attached' });
    return this.evaluateAll(`(nodes, arg) => (${made})(nodes[0], arg)`, arg);
  }
  async fill(text) {
    await this.waitFor();
    await this.evaluate((node, text) => {
      node.value = text;
      node.dispatchEvent(new Event('input', { bubbles: true }));
    }, text);
  }
  async click() {
    await this.waitFor();
    await waitFor(() => this.evaluate((node) => !node.disabled), undefined, `${this.testid} takes clicks`);
    await this.evaluate((node) => node.click());
  }
  getAttribute = (name) => this.evaluate((node, name) => node.getAttribute(name), name);
  textContent = () => this.evaluate((node) => node.textContent);
}
