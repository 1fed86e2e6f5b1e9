/** A look for each member that follows from the id alone, so that it is the same on every screen. */

export interface Crest {
  /** Degrees on the colour wheel. */
  hue: number;
  petals: number;
  shape: 'disc' | 'leaf' | 'diamond' | 'ring';
  turned: boolean;
  heart: boolean;
}

export function crestOf(id: string): Crest {
  const bits = mix(id);
  return {
    hue: bits % 360,
    petals: 3 + ((bits >>> 9) % 5),
    shape: (['disc', 'leaf', 'diamond', 'ring'] as const)[(bits >>> 13) & 3] ?? 'disc',
    turned: ((bits >>> 17) & 1) === 1,
    heart: ((bits >>> 19) & 1) === 1,
  };
}

/** FNV-1a, then Murmur's last stir; for looks only. */
function mix(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
