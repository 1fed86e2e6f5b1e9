// Installs what a test needs where that asks nobody's permission: as root on Debian.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export const isRoot = process.getuid?.() === 0;

/** Whether `install` may be called. */
export function mayInstall() {
  return isRoot && isDebian();
}

/** @param {string[]} packages */
export function install(...packages) {
  console.error(`Installing ${packages.join(', ')} by apt-get`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { env, stdio: /** @type {const} */ (['ignore', 2, 2]) };
  execFileSync('apt-get', ['update', '-q'], options);
  execFileSync('apt-get', ['install', '-q', '-y', ...packages], options);
}

function isDebian() {
  try {
    return /^ID="?debian"?$/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return false;
  }
}
