// A WebDriver BiDi client, as small as the stories allow: its page does what tests/lib/circle.mjs asks of Playwright's.

import WebSocket from 'ws';

import { waitFor } from './wait.mjs';

/** Commands are answered by their numbers. @param {string} url @param {(entry: any) => void} entryAdded */
export async function connect(url, entryAdded) {
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

/** What `circle.mjs` takes for Playwright's page. */
export class Page {
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
