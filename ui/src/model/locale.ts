// Locale and zone that `Intl` is sure to take. A browser may report the language "C" (a process
// started with LANG=C.UTF-8 does), and `Intl` throws on it, which would leave the page blank.

/** Used where the browser offers nothing usable: 24-hour clock, day before month. */
export const FALLBACK_LOCALE = 'en-GB';

function accepted(make: () => unknown): boolean {
  try {
    make();
    return true;
  } catch {
    return false;
  }
}

/** Says whether `Intl` takes a language tag. */
export function isUsableLocale(tag: unknown): tag is string {
  return typeof tag === 'string' && tag !== '' && accepted(() => new Intl.DateTimeFormat(tag));
}

/**
 * Picks the first English locale that works. The page speaks English so far, and month names of
 * another language among English words read as a mistake.
 */
export function pickLocale(languages: readonly unknown[]): string {
  const found = languages.find((tag) => isUsableLocale(tag) && /^en\b/i.test(tag));
  return typeof found === 'string' ? found : FALLBACK_LOCALE;
}

/** Gives the zone itself when `Intl` knows it, else UTC. */
export function pickZone(zone: string | undefined): string {
  return zone && accepted(() => new Intl.DateTimeFormat(FALLBACK_LOCALE, { timeZone: zone })) ? zone : 'UTC';
}

/**
 * Makes `navigator.language` usable where it is not. The chart library hands it to `Intl` while it
 * is being loaded, so this has to run before that library's first line does.
 */
export function repairNavigatorLanguage(navigator: Navigator): void {
  if (isUsableLocale(navigator.language)) return;
  Object.defineProperty(navigator, 'language', { value: FALLBACK_LOCALE, configurable: true });
}
