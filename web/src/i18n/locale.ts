/** The page's language as this person's region writes it: `en-GB` where the browser asks for that, else `en`. */
export function localeOf(language: string): string {
  return navigator.languages.find((wanted) => wanted.split('-')[0] === language) ?? language;
}

/** A moment in a sentence; nothing where it is not known. */
export function moment(locale: string, time: unknown): string {
  return typeof time === 'number' ? new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'short' }).format(time) : '';
}
