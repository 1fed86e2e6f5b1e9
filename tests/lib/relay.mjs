// The real relay as a child process.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { DEADLINE } from './wait.mjs';

const LOG_KEPT = 64 * 1024;

/** Relays that a failed test left running end with this process, and its folders go. */
const running = new Set();
const folders = new Set();
process.once('exit', () => {
  running.forEach((child) => child.kill('SIGKILL'));
  for (const folder of folders) {
    try {
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    } catch {
      // A browser that a failed test left running still writes there.
    }
  }
});

/** A new folder for a relay's data or a browser's profile; it goes when the tests end. */
export function freshFolder(name = 'data') {
  const folder = mkdtempSync(join(tmpdir(), `ledgerno-${name}-`));
  folders.add(folder);
  return folder;
}

/**
 * Starts `ledgerno-relay` and waits until it says where it is.
 * @param {{ dataDir?: string, host?: string, port?: number, ice?: string[], args?: string[], env?: Record<string, string>,
 *   within?: string[] }} [options]
 *   port 0: any free one; ice: the STUN and TURN servers that browsers are told; within: the program that starts it
 */
export async function startRelay(options = {}) {
  const { dataDir = freshFolder(), host = '127.0.0.1', port = 0, ice = ['none'], args = [], env = {}, within = [] } = options;
  const program = process.env.LEDGERNO_RELAY;
  if (!program) throw new Error('LEDGERNO_RELAY names the relay: run the tests by `npm test -- --only e2e`.');
  const servers = ice.flatMap((server) => ['--ice', server]);
  const [command = program, ...words] = [...within, program, '--listen', `${host}:${port}`, '--data', dataDir, ...servers, ...args];
  const child = spawn(command, words, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  running.add(child);
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  exited.then(() => running.delete(child));

  let log = '';
  const lines = await new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`The relay ${why}. It said:\n${log}`));
    const timer = setTimeout(() => fail(`is not ready after ${DEADLINE} ms`), DEADLINE);
    const read = (chunk) => {
      log = (log + chunk).slice(-LOG_KEPT);
      const owner = /^owner: (\S+)$/m.exec(log)?.[1];
      const page = /^page: (\S+)$/m.exec(log)?.[1];
      if (owner && page) {
        clearTimeout(timer);
        resolve({ owner, page });
      }
    };
    child.stdout.setEncoding('utf8').on('data', read);
    child.stderr.setEncoding('utf8').on('data', read);
    child.once('error', (error) => fail(`does not start: ${error.message}`));
    child.once('exit', (code, signal) => fail(`ended (${signal ?? code})`));
  });
  const url = new URL(lines.page);
  const used = port || Number(url.port || 80);

  return {
    /** The owner's URL, its token after `#`. */
    owner: lines.owner,
    /** The page's URL. */
    page: lines.page,
    /** `http://host:port`, without a slash at the end. */
    url: url.origin,
    port: used,
    dataDir,
    pid: child.pid,
    /** What it printed last. */
    log: () => log,
    /** Ends it by a signal and waits; answers how it ended. */
    async kill(signal = 'SIGKILL') {
      child.kill(signal);
      return exited;
    },
    /** Ends it as Ctrl-C does. */
    async stop() {
      child.kill('SIGINT');
      return exited;
    },
    /** Kills it if it runs, and starts another with the same data on the same port. */
    async restart(more = {}) {
      child.kill('SIGKILL');
      await exited;
      return startRelay({ ...options, dataDir, port: used, ...more });
    },
  };
}
