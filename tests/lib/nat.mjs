// Homes behind routers, and an internet between them, as network namespaces of this machine. Nothing leaves them: no
// namespace has a link to the machine's own network, and only a home's client has a default route, to its own router.
//
//   client 192.168.1.2 ── router ── internet 203.0.113.1 (relay, STUN, TURN) ── router ── client 192.168.1.2
//
// Both homes use the same private addresses, as most homes do.

import { execFileSync, spawn } from 'node:child_process';
import { accessSync, chmodSync, constants, existsSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

import { findChromium } from './chromium.mjs';
import { install, isRoot, mayInstall } from './debian.mjs';
import { freshFolder } from './relay.mjs';
import { waitFor } from './wait.mjs';

/** The internet's own addresses. Who asks the STUN server at both learns what kind of NAT is before it. */
const ADDRESSES = ['203.0.113.1', '203.0.113.2'];
const STUN_PORT = 3478;
const [NAME, PASSWORD] = ['friend', 'secret'];
/** Where the relay and the STUN server are. */
export const INTERNET = ADDRESSES[0] ?? '';
/** As the relay takes them. One program is both. */
export const STUN = `stun:${INTERNET}:${STUN_PORT}`;
export const TURN = `turn:${INTERNET}:${STUN_PORT} ${NAME} ${PASSWORD}`;

const PACKAGES = { ip: 'iproute2', nft: 'nftables', turnserver: 'coturn' };

/** What a router does with the source port of what leaves it. */
const MASQUERADE = {
  /** It keeps the port, whereto it goes: others reach it there once something was sent to them. */
  cone: 'masquerade',
  /** A new port for each destination: what STUN saw helps nobody else. */
  symmetric: 'masquerade random,fully-random',
};

/** Routers drop what nobody asked for, and say nothing: an answer would take the port that the client is about to use. */
const rules = (kind) => `
  flush ruleset
  table ip nat {
    chain out { type nat hook postrouting priority srcnat; oifname "wan" ${MASQUERADE[kind]}; }
  }
  table ip filter {
    chain input { type filter hook input priority filter; policy drop; iifname "lan" accept; ct state established accept; }
    chain forward { type filter hook forward priority filter; policy drop; iifname "lan" accept; ct state established,related accept; }
  }`;

const run = (program, ...args) => execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** What a failed test left behind goes with this process. */
const standing = new Set();
process.once('exit', () => standing.forEach((internet) => internet.tearDown()));
let made = 0;

/** A run that was killed tore nothing down. */
function sweep() {
  for (const [name, pid] of run('ip', 'netns', 'list').matchAll(/^ledgerno-(\d+)-\S+/gm)) {
    if (!existsSync(`/proc/${pid}`)) run('ip', 'netns', 'del', name);
  }
}

/**
 * Why there can be no simulated networks here; else nothing, and what they need is installed.
 * @returns {string | undefined}
 */
export function lacking() {
  if (process.platform !== 'linux') return 'Network namespaces are of Linux.';
  if (!isRoot) return 'Only root makes network namespaces.';
  process.env.PATH = `${process.env.PATH}${delimiter}/usr/sbin${delimiter}/sbin`; // which not every way to be root adds
  const missing = () => Object.entries(PACKAGES).filter(([program]) => !isThere(program));
  if (missing().length > 0 && mayInstall()) install(...missing().map(([, name]) => name));
  const names = missing().map(([, name]) => name).join(', ');
  if (names) return `Install ${names}.`;
  const name = nameOf('probe');
  try {
    run('ip', 'netns', 'add', name);
    run('ip', 'netns', 'exec', name, 'nft', rules('symmetric'));
  } catch (error) {
    return `The kernel refuses: ${/** @type {any} */ (error).stderr?.trim()}`;
  } finally {
    try {
      run('ip', 'netns', 'del', name);
    } catch {
      // It was refused before.
    }
  }
  return undefined;
}

function isThere(program) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const nameOf = (what) => `ledgerno-${process.pid}-${what}`;

/** An internet with a STUN and TURN server, to which homes connect. @param {import('node:test').TestContext} t torn down with the test */
export async function startInternet(t) {
  sweep();
  made += 1;
  const namespaces = [];
  const children = [];
  const namespace = (what) => {
    const name = nameOf(`${made}-${what}`);
    run('ip', 'netns', 'add', name);
    namespaces.push(name);
    const within = ['ip', 'netns', 'exec', name];
    const here = (...words) => run('ip', '-n', name, ...words);
    here('link', 'set', 'lo', 'up');
    return { name, within, here };
  };
  const internet = {
    tearDown() {
      standing.delete(internet);
      for (const child of children.splice(0)) child.kill('SIGKILL');
      // It lives on until its last process ends; whoever started that ends it.
      for (const name of namespaces.splice(0)) run('ip', 'netns', 'del', name);
    },
  };
  standing.add(internet);
  t.after(internet.tearDown);

  const middle = namespace('net');
  middle.here('link', 'add', 'bridge', 'type', 'bridge');
  for (const address of ADDRESSES) middle.here('addr', 'add', `${address}/24`, 'dev', 'bridge');
  middle.here('link', 'set', 'bridge', 'up');
  await startTurn(middle.within, children);

  let homes = 0;
  return {
    /** What starts a program on the internet. */
    within: middle.within,
    /** A home whose router is of this kind. @param {keyof typeof MASQUERADE} kind */
    home(kind) {
      homes += 1;
      const router = namespace(`router${homes}`);
      const client = namespace(`client${homes}`);
      middle.here('link', 'add', `home${homes}`, 'master', 'bridge', 'type', 'veth', 'peer', 'name', 'wan', 'netns', router.name);
      middle.here('link', 'set', `home${homes}`, 'up');
      router.here('addr', 'add', `203.0.113.${10 + homes}/24`, 'dev', 'wan');
      router.here('link', 'set', 'wan', 'up');
      router.here('link', 'add', 'lan', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', client.name);
      router.here('addr', 'add', '192.168.1.1/24', 'dev', 'lan');
      router.here('link', 'set', 'lan', 'up');
      run(...exec(router.within), 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
      const become = (/** @type {keyof typeof MASQUERADE} */ other) => void run(...exec(router.within), 'nft', rules(other));
      become(kind);
      client.here('addr', 'add', '192.168.1.2/24', 'dev', 'eth0');
      client.here('link', 'set', 'eth0', 'up');
      client.here('route', 'add', 'default', 'via', '192.168.1.1');
      return {
        within: client.within,
        /** What starts its browser. */
        executable: browserWithin(client.within),
        /** Makes its router one of another kind; what goes through it goes on. */
        become,
      };
    },
  };
}

/** @param {string[]} words @returns {[string, ...string[]]} */
const exec = ([program = '', ...words]) => [program, ...words];

/** A program that starts Chromium in a namespace. Playwright speaks to it by pipes, which lead out of any. */
function browserWithin(within) {
  const path = join(freshFolder('browser'), 'chromium');
  writeFileSync(path, `#!/bin/sh\nexec ${within.join(' ')} '${findChromium()}' "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

/** @param {string[]} within @param {import('node:child_process').ChildProcess[]} children to which it is added */
async function startTurn(within, children) {
  const [program, ...words] = [...within, 'turnserver'];
  const folder = freshFolder('turn');
  const args = [
    ...['-n', '--lt-cred-mech', '--user', `${NAME}:${PASSWORD}`, '--realm', 'internet', '--no-cli', '--no-tls', '--no-dtls', '--no-tcp'],
    ...['--log-file', 'stdout', '--simple-log'],
    ...['--listening-port', String(STUN_PORT), ...ADDRESSES.flatMap((address) => ['--listening-ip', address])],
    ...['--userdb', join(folder, 'db'), '--pidfile', join(folder, 'pid')],
  ];
  const child = spawn(program ?? 'ip', [...words, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let log = '';
  let ended = '';
  const read = (chunk) => {
    log = (log + chunk).slice(-64 * 1024);
  };
  child.stdout.setEncoding('utf8').on('data', read);
  child.stderr.setEncoding('utf8').on('data', read);
  child.once('error', (error) => (ended = error.message));
  child.once('exit', (code, signal) => (ended = String(signal ?? code)));
  const listens = () => ADDRESSES.every((address) => run(...exec(within), 'ss', '-Hlun').includes(`${address}:${STUN_PORT}`));
  await waitFor(() => ended || listens(), undefined, 'the TURN server listens');
  if (ended) throw new Error(`The TURN server ended (${ended}). It said:\n${log}`);
}

/** Asks the STUN server at several addresses from one socket; says by which ports it was seen. */
const ASK = `
  const socket = require('node:dgram').createSocket('udp4');
  const [port, ...hosts] = process.argv.slice(1);
  const seen = hosts.map(() => 0);
  const ask = (host, at) => {
    const request = Buffer.alloc(20);
    request.writeUInt16BE(1, 0);
    request.writeUInt32BE(0x2112a442, 4);
    request.writeUInt32BE(at, 16);
    socket.send(request, Number(port), host);
  };
  const XOR_MAPPED_ADDRESS = 0x20;
  socket.on('message', (answer) => {
    for (let at = 20; at + 8 <= answer.length; at += 4 + ((answer.readUInt16BE(at + 2) + 3) & ~3)) {
      if (answer.readUInt16BE(at) === XOR_MAPPED_ADDRESS) seen[answer.readUInt32BE(16)] = answer.readUInt16BE(at + 6) ^ 0x2112;
    }
    if (seen.some((one) => !one)) return;
    console.log(JSON.stringify({ own: socket.address().port, seen }));
    process.exit();
  });
  // What is lost is asked again.
  setInterval(() => hosts.forEach(ask), 100);
  setTimeout(() => process.exit(1), 20_000);
`;

/**
 * The port that a home's client sends from, and as which the STUN server sees it at its two addresses.
 * @param {{ within: string[] }} home @returns {{ own: number, seen: number[] }}
 */
export function portsOf(home) {
  return JSON.parse(run(...exec(home.within), process.execPath, '-e', ASK, String(STUN_PORT), ...ADDRESSES));
}
