import type { RelayInfo } from './types';

/**
 * The relay that served this page, from `<meta name="ledgerno-relay" content='{"peer":"<hex>","version":1}'>`;
 * undefined where another server did. All that `Node.open` needs of it: `page`, `joinFrom` and `iceServers` too, where
 * the relay says them.
 */
export function relayOfPage(): RelayInfo | undefined {
  const content = document.querySelector<HTMLMetaElement>('meta[name="ledgerno-relay"]')?.content;
  if (!content) return undefined;
  try {
    const { peer, page, joinFrom, ice } = JSON.parse(content) as {
      peer?: unknown;
      page?: unknown;
      joinFrom?: number;
      ice?: string[];
    };
    if (typeof peer !== 'string') return undefined;
    const { protocol, host, origin } = location;
    return {
      url: `${protocol === 'https:' ? 'wss' : 'ws'}://${host}/`,
      peer,
      joinFrom,
      iceServers: ice,
      ...(typeof page === 'string'
        ? { page: page.replace(/\/*$/, '/'), publicUrl: page.replace(/^http/, 'ws').replace(/\/*$/, '/') }
        : { page: `${origin}/` }),
    };
  } catch {
    return undefined;
  }
}
