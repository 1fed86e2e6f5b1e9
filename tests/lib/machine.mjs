// One line on what the benchmarks ran: machine, browser, day and commit.

import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';

import { findChromium } from './chromium.mjs';

const run = (program, ...args) => execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
const git = (...args) => {
  try {
    return run('git', ...args);
  } catch {
    return ''; // sources without their history
  }
};

const changed = git('status', '--porcelain', '--untracked-files=no', '--', '.', ':!docs/benchmarks.md') ? ' with changes' : '';
const facts = [
  `${availableParallelism()} cores of ${cpus()[0]?.model.trim() ?? 'an unknown processor'}`,
  `${Math.round(totalmem() / 1e9)} GB`,
  // What a distribution or a host appends to its kernel's version says nothing here.
  `${type()} ${release().split('-')[0]}`,
  run(findChromium(), '--version').replace(/ built on.*/, ''),
  `Node ${process.version}`,
  run('rustc', '--version').replace(/ \(.*/, ''),
  new Date().toISOString().slice(0, 10),
  `commit ${git('rev-parse', '--short', 'HEAD') || 'unknown'}${changed}`,
];
console.log(`${facts.join(' · ')}.`);
