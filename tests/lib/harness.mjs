// Liars as child processes (tests/harness): a founder who lies on command, and a relay of another version. And nodes of the
// network alone, which are no browsers.

import { spawn } from 'node:child_process';

import { freshFolder } from './relay.mjs';
import { DEADLINE, waitFor } from './wait.mjs';

const LOG_KEPT = 64 * 1024;

/** What a failed test left running ends with this process. */
const running = new Set();
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** @param {string[]} args @param {string[]} [within] what starts it elsewhere */
function start(args, within = []) {
  const program = process.env.LEDGERNO_HARNESS;
  if (!program) throw new Error('LEDGERNO_HARNESS names the harness: run the tests by `npm test -- --only e2e`.');
  const [first = '', ...words] = [...within, program, ...args];
  const child = spawn(first, words, { stdio: ['pipe', 'pipe', 'pipe'] });
  running.add(child);
  const exited = new Promise((resolve) => child.once('exit', resolve));
  let log = '';
  let ended = false;
  exited.then(() => {
    ended = true;
    running.delete(child);
  });
  const read = (chunk) => {
    log = (log + chunk).slice(-LOG_KEPT);
  };
  child.stdout.setEncoding('utf8').on('data', read);
  child.stderr.setEncoding('utf8').on('data', read);
  child.stdin.on('error', () => undefined);
  const said = (pattern) =>
    waitFor(() => pattern.exec(log) || ended, DEADLINE, `the harness says ${pattern}`).then((found) => {
      if (found === true) throw new Error(`The harness ended. It said:\n${log}`);
      return found;
    });
  return {
    said,
    log: () => log,
    write: (line) => child.stdin.write(`${line}\n`),
    async stop() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/**
 * A founder whose circle the relay keeps; nothing is settled but on command.
 * @param {{ owner: string, url: string }} relay
 */
export async function startFounder(relay) {
  const html = await (await fetch(relay.url)).text();
  const peer = /"peer":\s*"([0-9a-f]{64})"/.exec(html.replaceAll('&quot;', '"'))?.[1];
  if (!peer) throw new Error('The page does not say who its relay is.');
  const token = relay.owner.split('#/owner/')[1] ?? '';
  const url = `${relay.url.replace(/^http/, 'ws')}/`;
  const child = start(['founder', '--relay', url, '--peer', peer, '--token', token]);
  const invite = (await child.said(/^invite: (\S+)$/m))[1];
  let done = 0;
  return {
    invite,
    log: child.log,
    stop: child.stop,
    /** Lets it do something, and waits until it did. @param {string} line */
    async does(line) {
      done += 1;
      child.write(line);
      await waitFor(
        () => (child.log().match(/^(done|failed): /gm) ?? []).length >= done,
        DEADLINE,
        `the founder does: ${line}`,
      );
      const failed = /^failed: .*$/m.exec(child.log());
      if (failed) throw new Error(failed[0]);
    },
  };
}

/** A relay that claims another version of the protocol. @param {number} version */
export async function startRelayOfVersion(version) {
  const child = start(['relay', '--listen', '127.0.0.1:0', '--data', freshFolder(), '--speak', String(version)]);
  const owner = (await child.said(/^owner: (\S+)$/m))[1];
  const page = (await child.said(/^page: (\S+)$/m))[1];
  return { owner, page, url: new URL(page).origin, stop: child.stop };
}

/**
 * A native node of the network alone.
 * @param {string[]} within what starts it in its network @param {string[]} args
 */
export async function startNative(within, args) {
  const child = start(['native', ...args], within);
  const id = (await child.said(/^peer: (\S+)$/m))[1];
  return {
    id,
    said: child.said,
    log: child.log,
    stop: child.stop,
    /** Asks another node, and waits for the answer. @param {string} other */
    async ask(other) {
      child.write(`ask ${other}`);
      const answer = await child.said(new RegExp(`^(un)?answered: ${other}$`, 'm'));
      if (answer[1]) throw new Error(`No answer. It said:\n${child.log()}`);
    },
  };
}
