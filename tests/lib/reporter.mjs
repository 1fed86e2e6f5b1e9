// One JSON line a test, for the sum over all kinds. Suites and whole files are no tests; a file that breaks is.

import { relative } from 'node:path';

/** @param {AsyncIterable<{ type: string, data: any }>} source */
export default async function* reporter(source) {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const ok = type === 'test:pass';
    const isFile = data.name.endsWith('.mjs');
    const isGroup = isFile || data.details?.type === 'suite';
    if (data.skip !== undefined || data.todo !== undefined || (isGroup && ok)) continue;
    // What holds tests fails whenever one of them fails; only what failed by itself counts.
    if (data.details?.error?.failureType === 'subtestsFailed') continue;
    yield `${JSON.stringify({ name: isFile ? relative('.', data.name) : data.name, ok })}\n`;
  }
}
