import type { RelayInfo } from './types';

/**
 * The relay that served this page, from `<meta name="ledgerno-relay" content='{"peer":"<hex>","version":1}'>`;
 * undefined where another server did. `page`, where the relay says it, is the public address that invites carry;
 * `joinFrom` and `iceServers`, where whoever serves the page says them, are those options of `Node.open`.
 */
export function relayOfPage(): (RelayInfo & { page: string; joinFrom?: number; iceServers?: string[] }) | undefined {
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
