import type { RelayInfo } from './types';

/**
 * The relay that served this page, from `<meta name="ledgerno-relay" content='{"peer":"<hex>","version":1}'>`;
 * undefined where another server did. `page`, where the relay says it, is the public address that invites carry.
 */
export function relayOfPage(): (RelayInfo & { page: string }) | undefined {
  const content = document.querySelector<HTMLMetaElement>('meta[name="ledgerno-relay"]')?.content;
  if (!content) return undefined;
  try {
    const { peer, page } = JSON.parse(content) as { peer?: unknown; page?: unknown };
    if (typeof peer !== 'string') return undefined;
    const { protocol, host, origin } = location;
    return {
      url: `${protocol === 'https:' ? 'wss' : 'ws'}://${host}/`,
      peer,
      ...(typeof page === 'string'
        ? { page: page.replace(/\/*$/, '/'), publicUrl: page.replace(/^http/, 'ws').replace(/\/*$/, '/') }
        : { page: `${origin}/` }),
    };
  } catch {
    return undefined;
  }
}
