import { LedgernoError, type AlertView } from 'ledgerno';
import { remembered, remember } from '../memory';
import type { Words } from './en';
import { localeOf } from './locale';

export const languages = { en: 'English', ja: '日本語' };
export type Language = keyof typeof languages;

/** Each language is a file of its own, and only the one in use is loaded. */
const loaders: Record<Language, () => Promise<Words>> = {
  en: async () => (await import('./en')).en,
  ja: async () => (await import('./ja')).ja,
};

function preferred(): Language {
  const chosen = remembered('language') ?? navigator.language;
  return chosen.toLowerCase().startsWith('ja') ? 'ja' : 'en';
}

class I18n {
  language = $state.raw<Language>('en');
  /** The words of the language in use. Nothing is drawn before `load` has set them. */
  t = $state.raw({} as Words);
  #locale = $derived(localeOf(this.language));

  async load(language = preferred()) {
    this.t = await loaders[language]();
    this.language = language;
    document.documentElement.lang = language;
  }

  async choose(language: Language) {
    try {
      await this.load(language);
      remember('language', language);
    } catch {
      // The relay is out of reach: the words stay as they are.
    }
  }

  /** A sentence that a person can act on. */
  error(error: unknown): string {
    const { code, facts }: AlertView = LedgernoError.from(error);
    return this.t.errors[code](facts);
  }

  voidReason(code: string): string {
    return this.t.notCounted(this.t.voids[code] ?? code);
  }

  time(time: number): string {
    return new Intl.DateTimeFormat(this.#locale, { hour: 'numeric', minute: '2-digit' }).format(time);
  }

  day(time: number): string {
    const days = dayNumber(Date.now()) - dayNumber(time);
    if (days === 0) return this.t.today;
    if (days === 1) return this.t.yesterday;
    return new Intl.DateTimeFormat(this.#locale, { dateStyle: days < 300 && days > 0 ? undefined : 'long', ...(days < 300 && days > 0 && { month: 'long', day: 'numeric', weekday: 'long' }) }).format(time);
  }

  full(time: number): string {
    return new Intl.DateTimeFormat(this.#locale, { dateStyle: 'full', timeStyle: 'medium' }).format(time);
  }

  number(n: number): string {
    return new Intl.NumberFormat(this.#locale).format(n);
  }
}

/** Days since 1970 on this device's calendar. */
export function dayNumber(time: number): number {
  const date = new Date(time);
  return Math.round(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / 86_400_000);
}

export const i18n = new I18n();
