// Days and clock times in the engine's zone, which need not be the browser's: a day on this page
// has to be the same day as in the engine's sums.

export const SECOND_MS = 1000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** A calendar day; `month` counts from 1. */
export interface Day {
  year: number;
  month: number;
  day: number;
}

const partsByZone = new Map<string, Intl.DateTimeFormat>();

function partsFormat(zone: string): Intl.DateTimeFormat {
  let format = partsByZone.get(zone);
  if (!format) {
    const two = '2-digit' as const;
    const options = { year: 'numeric', month: two, day: two, hour: two, minute: two, second: two } as const;
    format = new Intl.DateTimeFormat('en-US', { ...options, hourCycle: 'h23', timeZone: zone });
    partsByZone.set(zone, format);
  }
  return format;
}

function localParts(time_ms: number, zone: string): Record<string, number> {
  const parts: Record<string, number> = {};
  for (const { type, value } of partsFormat(zone).formatToParts(time_ms)) parts[type] = Number(value);
  return parts;
}

/** Gives how far local time is ahead of UTC at an instant, in milliseconds. */
export function zoneOffset(time_ms: number, zone: string): number {
  const part = localParts(time_ms, zone);
  const local = Date.UTC(part['year']!, part['month']! - 1, part['day']!, part['hour']!, part['minute']!, part['second']!);
  return local - Math.floor(time_ms / SECOND_MS) * SECOND_MS;
}

/** Gives the calendar day on which an instant falls. */
export function dayOf(time_ms: number, zone: string): Day {
  const part = localParts(time_ms, zone);
  return { year: part['year']!, month: part['month']!, day: part['day']! };
}

/** Gives the first instant of a calendar day; `day` may run out of its month. */
export function dayStart({ year, month, day }: Day, zone: string): number {
  const midnight = Date.UTC(year, month - 1, day);
  // The offset that holds at the day's first instant is one of those a day around it.
  const before = midnight - zoneOffset(midnight - DAY_MS, zone);
  const after = midnight - zoneOffset(midnight + DAY_MS, zone);
  const wanted = Math.floor(midnight / DAY_MS);
  const isInside = (time: number) => Math.floor((time + zoneOffset(time, zone)) / DAY_MS) === wanted;
  // Where clocks go forward at midnight, only one of both lies inside the day; where they go back
  // at midnight, both may, and the day begins at the earlier one.
  const inside = [before, after].filter(isInside);
  return inside.length > 0 ? Math.min(...inside) : Math.max(before, after);
}

/** Gives the first instant of the day that is `days` after the day of an instant. */
export function startOfDay(time_ms: number, zone: string, days = 0): number {
  const { year, month, day } = dayOf(time_ms, zone);
  return dayStart({ year, month, day: day + days }, zone);
}

/** A span of time, `[from_ms, to_ms)`. */
export interface Span {
  from_ms: number;
  to_ms: number;
}

/** Gives the `count` whole days that end with today or, for a negative page, earlier ones. */
export function dayWindow(now_ms: number, zone: string, count: number, page = 0): Span {
  return {
    from_ms: startOfDay(now_ms, zone, (page - 1) * count + 1),
    to_ms: startOfDay(now_ms, zone, page * count + 1),
  };
}
