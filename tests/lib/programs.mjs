// Finds programs that a test starts.

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The first of these names in PATH, else the first of these paths. @param {string[]} names @param {string[]} [places] */
export function search(names, places = []) {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const inPath = folders.flatMap((folder) => names.map((name) => join(folder, name + suffix)));
  return [...inPath, ...places].find(runs);
}

/** @param {string} path */
export function runs(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
