import { LedgernoError, type AlertView } from 'ledgerno';
import { remembered, remember } from '../memory';
import { en, type Words } from './en';
import { ja } from './ja';

export const languages = { en: 'English', ja: '日本語' };
export type Language = keyof typeof languages;

const words: Record<Language, Words> = { en, ja };

function preferred(): Language {
  const chosen = remembered('language') ?? navigator.language;
  return chosen.toLowerCase().startsWith('ja') ? 'ja' : 'en';
}

class I18n {
  language = $state<Language>(preferred());
  /** The words of the language in use. */
  t = $derived(words[this.language]);

  choose(language: Language) {
    this.language = language;
    remember('language', language);
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
    return new Intl.DateTimeFormat(this.t.locale, { hour: 'numeric', minute: '2-digit' }).format(time);
  }

  day(time: number): string {
    const days = dayNumber(Date.now()) - dayNumber(time);
    if (days === 0) return this.t.today;
    if (days === 1) return this.t.yesterday;
    return new Intl.DateTimeFormat(this.t.locale, { dateStyle: days < 300 && days > 0 ? undefined : 'long', ...(days < 300 && days > 0 && { month: 'long', day: 'numeric', weekday: 'long' }) }).format(time);
  }

  full(time: number): string {
    return new Intl.DateTimeFormat(this.t.locale, { dateStyle: 'full', timeStyle: 'medium' }).format(time);
  }

  number(n: number): string {
    return new Intl.NumberFormat(this.t.locale).format(n);
  }
}

/** Days since 1970 on this device's calendar. */
export function dayNumber(time: number): number {
  const date = new Date(time);
  return Math.round(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / 86_400_000);
}

export const i18n = new I18n();
