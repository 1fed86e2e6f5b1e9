export type Feature = 'locks' | 'persist' | 'clipboard' | 'service-worker';

/** What this page has to do without; browsers withhold these on plain http to anything but localhost. */
export function missingFeatures(): Feature[] {
  const has: Record<Feature, boolean> = {
    locks: 'locks' in navigator,
    persist: typeof navigator.storage?.persist === 'function',
    clipboard: typeof navigator.clipboard?.writeText === 'function',
    'service-worker': 'serviceWorker' in navigator,
  };
  return (Object.keys(has) as Feature[]).filter((feature) => !has[feature]);
}
