import { LedgernoError, type AlertView } from 'ledgerno';
import { remembered, remember } from '../memory';
import type { Words } from './en';
import type { More } from './more.en';
import { localeOf } from './locale';

export const languages = { en: 'English', ja: '日本語' };
export type Language = keyof typeof languages;

/** Each language is a file of its own, and only the one in use is loaded. */
const loaders: Record<Language, () => Promise<Words>> = {
  en: async () => (await import('./en')).en,
  ja: async () => (await import('./ja')).ja,
};

/** Words of what is loaded on demand. */
const moreLoaders: Record<Language, () => Promise<More>> = {
  en: async () => (await import('./more.en')).en,
  ja: async () => (await import('./more.ja')).ja,
};

function preferred(): Language {
  const chosen = remembered('language') ?? navigator.language;
  return chosen.toLowerCase().startsWith('ja') ? 'ja' : 'en';
}

class I18n {
  language = $state.raw<Language>('en');
  /** The words of the language in use. Nothing is drawn before `load` has set them. */
  t = $state.raw({} as Words);
  /** The words of what is loaded on demand, in the same language once `loadMore` was asked for them. */
  more = $state.raw({} as More);
  #wantsMore = false;
  #locale = $derived(localeOf(this.language));

  async load(language = preferred()) {
    const [words, more] = await Promise.all([loaders[language](), this.#wantsMore ? moreLoaders[language]() : this.more]);
    this.t = words;
    this.more = more;
    this.language = language;
    document.documentElement.lang = language;
  }

  async loadMore() {
    if (this.#wantsMore) return;
    this.more = await moreLoaders[this.language]();
    this.#wantsMore = true;
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
    const words = this.t.errors[code] ?? (this.more.errors as Partial<Words['errors']> | undefined)?.[code];
    // What few meet comes when it is met; without it the code says something at least.
    if (!words) void this.loadMore().catch(() => {});
    return words ? words(facts) : code;
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

  list(items: string[]): string {
    return new Intl.ListFormat(this.#locale).format(items);
  }

  /** A witness or who could be one, as one speaks of it. */
  witness({ own, member, name }: { own: boolean; member: string; name: string }): string {
    return own ? this.t.thisDevice : member ? name : this.t.path('relay');
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
