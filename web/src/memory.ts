/** Small conveniences that may be forgotten: where storage is blocked, they are. */

type Key = 'language' | 'owner' | 'circle' | 'keep';

export function remembered(key: Key): string | null {
  try {
    return localStorage.getItem(`ledgerno.${key}`);
  } catch {
    return null;
  }
}

export function remember(key: Key, value: string) {
  try {
    localStorage.setItem(`ledgerno.${key}`, value);
  } catch {
    // Nothing is lost but a convenience.
  }
}

/** What was being written in a circle, kept over a reload of this tab. */
export function draftOf(circle: string): string {
  try {
    return sessionStorage.getItem(`ledgerno.draft.${circle}`) ?? '';
  } catch {
    return '';
  }
}

export function keepDraft(circle: string, text: string) {
  try {
    if (text) sessionStorage.setItem(`ledgerno.draft.${circle}`, text);
    else sessionStorage.removeItem(`ledgerno.draft.${circle}`);
  } catch {
    // As above.
  }
}
