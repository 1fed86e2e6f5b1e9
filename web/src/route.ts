/** What the address says after `#`. Secrets there are taken out of the address bar once they are used. */
export type Route = { at: 'home' } | { at: 'new' } | { at: 'join'; token: string } | { at: 'owner'; token: string };

export function routeOf(hash: string): Route {
  const [, at, token = ''] = hash.replace(/^#/, '').split('/');
  if (at === 'join') return { at, token: decode(token) };
  if (at === 'owner') return { at, token: decode(token) };
  if (at === 'new') return { at };
  return { at: 'home' };
}

function decode(token: string): string {
  try {
    return decodeURIComponent(token).trim();
  } catch {
    return token;
  }
}
