import { expect, test } from 'vitest';
import { DAY_MS, HOUR_MS, dayOf, dayStart, dayWindow, startOfDay, zoneOffset } from '../src/model/time';

const at = (text: string) => Date.parse(text);

test('offset_follows_summer_time', () => {
  expect(zoneOffset(at('2026-01-15T12:00:00Z'), 'Europe/Berlin')).toBe(HOUR_MS);
  expect(zoneOffset(at('2026-07-15T12:00:00.750Z'), 'Europe/Berlin')).toBe(2 * HOUR_MS);
  expect(zoneOffset(at('2026-07-15T12:00:00Z'), 'Asia/Kolkata')).toBe(5.5 * HOUR_MS);
});

test('day_begins_at_local_midnight_on_days_of_23_and_25_hours', () => {
  const berlin = 'Europe/Berlin';
  expect(startOfDay(at('2026-03-29T15:00:00Z'), berlin)).toBe(at('2026-03-28T23:00:00Z'));
  expect(startOfDay(at('2026-03-29T15:00:00Z'), berlin, 1)).toBe(at('2026-03-29T22:00:00Z'));
  expect(startOfDay(at('2026-10-25T15:00:00Z'), berlin)).toBe(at('2026-10-24T22:00:00Z'));
  expect(startOfDay(at('2026-10-25T15:00:00Z'), berlin, 1)).toBe(at('2026-10-25T23:00:00Z'));
});

test('day_without_midnight_begins_when_clocks_have_gone_forward', () => {
  // In Santiago clocks go from 24:00 to 01:00 on 6 September 2026.
  expect(dayStart({ year: 2026, month: 9, day: 6 }, 'America/Santiago')).toBe(at('2026-09-06T04:00:00Z'));
});

test('day_start_is_inside_its_day_and_a_millisecond_before_is_not', () => {
  for (const zone of ['UTC', 'Europe/Berlin', 'America/Santiago', 'Asia/Kolkata', 'Pacific/Apia', 'America/Havana', 'Africa/Cairo']) {
    for (let time = at('2026-01-01T00:00:00Z'); time < at('2027-01-02T00:00:00Z'); time += 0.9 * DAY_MS) {
      const wanted = dayOf(time, zone);
      const start = startOfDay(time, zone);
      expect(dayOf(start, zone), zone).toEqual(wanted);
      expect(dayOf(start - 1, zone), zone).not.toEqual(wanted);
    }
  }
});

test('window_holds_whole_days_and_pages_join_without_overlap', () => {
  const now = at('2026-11-03T09:00:00Z');
  const last = dayWindow(now, 'Europe/Berlin', 14);
  const before = dayWindow(now, 'Europe/Berlin', 14, -1);
  expect(last.to_ms).toBe(at('2026-11-03T23:00:00Z'));
  // The clock went back in between, so fourteen days are an hour longer.
  expect(last.to_ms - last.from_ms).toBe(14 * DAY_MS + HOUR_MS);
  expect(before.to_ms).toBe(last.from_ms);
});
