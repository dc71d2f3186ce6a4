// Figures and times as a person reads them. A formatter is made once for a locale and a zone; both
// must have gone through `locale.ts`.

import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, dayOf, type Span } from './time';

/** A figure and its unit, kept apart so that a page can set the unit smaller. */
export interface Figure {
  value: string;
  unit: string;
}

const NO_BREAK = '\u00a0';
const MINUS = '\u2212';
const NONE: Figure = { value: '–', unit: '' };

/** Joins figure and unit with a space that never breaks. */
export function written({ value, unit }: Figure): string {
  return unit === '' ? value : `${value}${NO_BREAK}${unit}`;
}

/** Says how long ago something was; a moment ahead of the clock counts as now. */
export function formatAge(age_ms: number): string {
  if (age_ms < 5 * SECOND_MS) return 'just now';
  return `${formatDuration(age_ms)} ago`;
}

/** Writes a length of time in its largest fitting unit, rounded down. */
export function formatDuration(span_ms: number): string {
  const counted = (unit_ms: number, unit: string) => `${Math.floor(span_ms / unit_ms)}${NO_BREAK}${unit}`;
  if (span_ms < MINUTE_MS) return counted(SECOND_MS, 's');
  if (span_ms < HOUR_MS) return counted(MINUTE_MS, 'min');
  if (span_ms < 2 * DAY_MS) return counted(HOUR_MS, 'h');
  return counted(DAY_MS, 'days');
}

/** Writes the width of a graph's bucket: `10 s`, `1.5 min`, `2 h`. */
export function formatResolution(span_ms: number): string {
  const units: [number, string][] = [[DAY_MS, 'd'], [HOUR_MS, 'h'], [MINUTE_MS, 'min'], [SECOND_MS, 's']];
  const [unit_ms, unit] = units.find(([size]) => span_ms >= size) ?? units[3]!;
  return `${Number((span_ms / unit_ms).toFixed(1))}${NO_BREAK}${unit}`;
}

/** How stale a meter's newest reading is. */
export type Freshness = 'never' | 'fresh' | 'resting' | 'due' | 'overdue';

/**
 * Grades an age: fresh below ten minutes, due after a day, overdue after a week. Between fresh and
 * due nothing needs to be done.
 */
export function freshness(age_ms: number | null): Freshness {
  if (age_ms === null) return 'never';
  if (age_ms < 10 * MINUTE_MS) return 'fresh';
  if (age_ms < DAY_MS) return 'resting';
  return age_ms < 7 * DAY_MS ? 'due' : 'overdue';
}

/** Gives the unit in which an axis up to `peak_w` (watts) is written, and its divisor. */
export function powerUnit(peak_w: number): { unit: string; divisor: number } {
  return Math.abs(peak_w) >= 2000 ? { unit: 'kW', divisor: 1000 } : { unit: 'W', divisor: 1 };
}

export type Formatter = ReturnType<typeof makeFormatter>;

/** Makes the formatter for a locale and an IANA zone. */
export function makeFormatter(locale: string, zone: string) {
  const time = (options: Intl.DateTimeFormatOptions) => {
    const format = new Intl.DateTimeFormat(locale, { ...options, hourCycle: 'h23', timeZone: zone });
    return (time_ms: number) => format.format(time_ms);
  };
  const clockMinutes = time({ hour: '2-digit', minute: '2-digit' });
  const clockSeconds = time({ hour: '2-digit', minute: '2-digit', second: '2-digit' });
  const dayShort = time({ weekday: 'short', day: 'numeric', month: 'short' });
  const dayLong = time({ weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
  const dayYear = time({ day: 'numeric', month: 'short', year: 'numeric' });
  const dayMonth = time({ day: 'numeric', month: 'short' });
  const month = time({ month: 'short', year: 'numeric' });
  const weekday = time({ weekday: 'short' });
  const dayNumber = time({ day: 'numeric' });

  const figure = (value: number, decimals: number) => {
    const format = new Intl.NumberFormat(locale, { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    // A tiny negative figure would read as minus zero.
    const rounded = Number(value.toFixed(decimals)) === 0 ? 0 : value;
    return format.format(rounded).replace('-', MINUS);
  };
  const quantity = (value: number | null, decimals: number, unit: string): Figure =>
    value === null ? NONE : { value: figure(value, decimals), unit };

  const power = (value_w: number | null): Figure => {
    if (value_w === null) return NONE;
    // The threshold is where rounding would write 1,000 W.
    if (Math.abs(value_w) >= 999.5) return quantity(value_w / 1000, 2, 'kW');
    return quantity(value_w, Math.abs(value_w) < 9.95 && value_w !== 0 ? 1 : 0, 'W');
  };
  const energy = (value_wh: number | null): Figure => {
    if (value_wh === null) return NONE;
    const size = Math.abs(value_wh);
    return quantity(value_wh / 1000, size < 99_995 ? 2 : size < 9_999_500 ? 1 : 0, 'kWh');
  };

  const isSameDay = (a_ms: number, b_ms: number) => {
    const [a, b] = [dayOf(a_ms, zone), dayOf(b_ms, zone)];
    return a.day === b.day && a.month === b.month && a.year === b.year;
  };
  /** Writes an instant with as much of a date as it needs, seen from `now_ms`. */
  const moment = (time_ms: number, now_ms: number) => {
    if (isSameDay(time_ms, now_ms)) return clockSeconds(time_ms);
    const isNear = Math.abs(now_ms - time_ms) < 300 * DAY_MS;
    return `${isNear ? dayShort(time_ms) : dayYear(time_ms)}, ${clockMinutes(time_ms)}`;
  };
  /** Writes a window: `Tue 3 Nov, 14:00 – 15:30` or both ends with their days. */
  const span = ({ from_ms, to_ms }: Span) => {
    const clock = to_ms - from_ms < 10 * MINUTE_MS ? clockSeconds : clockMinutes;
    if (isSameDay(from_ms, to_ms - 1)) return `${dayShort(from_ms)}, ${clock(from_ms)} – ${clock(to_ms)}`;
    if (to_ms - from_ms > 60 * DAY_MS) return `${dayYear(from_ms)} – ${dayYear(to_ms - 1)}`;
    return `${dayShort(from_ms)}, ${clock(from_ms)} – ${dayShort(to_ms)}, ${clock(to_ms)}`;
  };

  return {
    zone, figure, quantity, power, energy, moment, span, isSameDay,
    clockMinutes, clockSeconds, dayShort, dayLong, dayYear, dayMonth, month, weekday, dayNumber,
  };
}
