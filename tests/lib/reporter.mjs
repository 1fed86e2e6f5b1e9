// One JSON line a test, for the sum over all kinds. Suites and whole files are no tests; a file that breaks is.

/** @param {AsyncIterable<{ type: string, data: any }>} source */
export default async function* reporter(source) {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const ok = type === 'test:pass';
    const isGroup = data.details?.type === 'suite' || data.name?.endsWith('.mjs');
    if (data.skip !== undefined || data.todo !== undefined || (isGroup && ok)) continue;
    // A group fails whenever a test in it fails; only what failed by itself counts.
    if (isGroup && data.details?.error?.failureType === 'subtestsFailed') continue;
    yield `${JSON.stringify({ name: data.name, ok })}\n`;
  }
}
