// One JSON line a test, for the sum over all kinds. Suites and whole files are no tests; a file that breaks is.

import { relative } from 'node:path';

/** What node says of tests whose name the filter leaves out. */
const NOT_ASKED_FOR = 'test name does not match pattern';

/** @param {AsyncIterable<{ type: string, data: any }>} source */
export default async function* reporter(source) {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const ok = type === 'test:pass';
    const isFile = data.name.endsWith('.mjs');
    const isGroup = isFile || data.details?.type === 'suite';
    if (data.todo !== undefined || (isGroup && ok)) continue;
    if (data.skip !== undefined) {
      // By the name that was asked for, or for a reason.
      if (typeof data.skip === 'string' && data.skip !== NOT_ASKED_FOR) yield `${JSON.stringify({ name: data.name, skip: data.skip })}\n`;
      continue;
    }
    // What holds tests fails whenever one of them fails; only what failed by itself counts.
    if (data.details?.error?.failureType === 'subtestsFailed') continue;
    yield `${JSON.stringify({ name: isFile ? relative('.', data.name) : data.name, ok })}\n`;
  }
}
