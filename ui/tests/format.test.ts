import { describe, expect, test } from 'vitest';
import { timeLabels } from '../src/components/power-plot';
import { formatAge, formatResolution, freshness, makeFormatter, powerUnit, written } from '../src/model/format';
import { isUsableLocale, pickLocale, pickZone, repairNavigatorLanguage } from '../src/model/locale';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../src/model/time';

const format = makeFormatter('en-GB', 'Europe/Berlin');
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, ' ');
const at = (text: string) => Date.parse(text);

describe('locale', () => {
  test('broken_browser_language_falls_back', () => {
    expect(isUsableLocale('C')).toBe(false);
    expect(pickLocale(['C', undefined, 'de-DE'])).toBe('en-GB');
    expect(pickLocale(['de-DE', 'en-AU'])).toBe('en-AU');
    expect(pickLocale([])).toBe('en-GB');
  });

  test('unknown_zone_becomes_utc', () => {
    expect(pickZone('Europe/Berlin')).toBe('Europe/Berlin');
    expect(pickZone('Mars/Olympus')).toBe('UTC');
    expect(pickZone(undefined)).toBe('UTC');
  });

  test('navigator_language_is_replaced_only_when_it_is_unusable', () => {
    const broken = { language: 'C' } as Navigator;
    const sound = { language: 'fr-FR' } as Navigator;
    repairNavigatorLanguage(broken);
    repairNavigatorLanguage(sound);
    expect([broken.language, sound.language]).toEqual(['en-GB', 'fr-FR']);
  });
});

describe('figures', () => {
  const power = (value: number | null) => plain(written(format.power(value)));
  const energy = (value: number | null) => plain(written(format.energy(value)));

  test('power_changes_unit_where_rounding_would_write_four_digits', () => {
    expect([0, 3.14, 9.94, 9.95, 412.4, 999.4, 999.5, 12_345].map(power)).toEqual([
      '0 W', '3.1 W', '9.9 W', '10 W', '412 W', '999 W', '1.00 kW', '12.35 kW',
    ]);
  });

  test('negative_power_has_a_true_minus_and_no_minus_zero', () => {
    expect([-250, -1500, -0.01].map(power)).toEqual(['−250 W', '−1.50 kW', '0.0 W']);
  });

  test('unknown_value_is_a_dash_without_unit', () => {
    expect([power(null), energy(null)]).toEqual(['–', '–']);
  });

  test('energy_keeps_four_significant_digits_at_least', () => {
    expect([0, 5, 12_340, 99_994, 99_996, 1_234_567, 12_345_678].map(energy)).toEqual([
      '0.00 kWh', '0.01 kWh', '12.34 kWh', '99.99 kWh', '100.0 kWh', '1,234.6 kWh', '12,346 kWh',
    ]);
  });

  test('axis_is_in_kilowatts_from_two_on', () => {
    expect([1999, 2000, -2500].map((peak) => powerUnit(peak).unit)).toEqual(['W', 'kW', 'kW']);
  });
});

describe('times', () => {
  test('age_uses_the_largest_unit', () => {
    const ages = [-3000, 4000, 42_000, 5 * MINUTE_MS, 47 * HOUR_MS, 48 * HOUR_MS];
    expect(ages.map((age) => plain(formatAge(age)))).toEqual(['just now', 'just now', '42 s ago', '5 min ago', '47 h ago', '2 days ago']);
  });

  test('freshness_changes_at_its_limits', () => {
    const grades = [null, 0, 10 * MINUTE_MS - 1, 10 * MINUTE_MS, DAY_MS, 7 * DAY_MS].map(freshness);
    expect(grades).toEqual(['never', 'fresh', 'fresh', 'resting', 'due', 'overdue']);
  });

  test('moment_writes_as_much_date_as_it_needs', () => {
    const now = at('2026-11-03T12:00:00Z');
    expect(format.moment(at('2026-11-03T06:05:09Z'), now)).toBe('07:05:09');
    // Still the day before in UTC, but today in Berlin.
    expect(format.moment(at('2026-11-02T23:30:00Z'), now)).toBe('00:30:00');
    expect(format.moment(at('2026-11-02T08:00:00Z'), now)).toBe('Mon 2 Nov, 09:00');
    expect(format.moment(at('2024-11-02T08:00:00Z'), now)).toBe('2 Nov 2024, 09:00');
  });

  test('span_names_a_day_once_when_both_ends_are_in_it', () => {
    const day = { from_ms: at('2026-11-02T23:00:00Z'), to_ms: at('2026-11-03T23:00:00Z') };
    expect(format.span(day)).toBe('Tue 3 Nov, 00:00 – 00:00');
    const night = { from_ms: at('2026-11-02T21:00:00Z'), to_ms: at('2026-11-03T05:00:00Z') };
    expect(format.span(night)).toBe('Mon 2 Nov, 22:00 – Tue 3 Nov, 06:00');
  });

  test('resolution_is_short', () => {
    expect([10_000, 78_000, HOUR_MS, 36 * HOUR_MS].map((span) => plain(formatResolution(span)))).toEqual(['10 s', '1.3 min', '1 h', '1.5 d']);
  });

  test('axis_writes_the_date_where_the_local_day_changes', () => {
    const splits = ['2026-11-02T21:00:00Z', '2026-11-02T23:00:00Z', '2026-11-03T01:00:00Z'].map((text) => at(text) / 1000);
    expect(timeLabels(splits, 2 * HOUR_MS, format)).toEqual(['22:00\n2 Nov', '00:00\n3 Nov', '02:00']);
    expect(timeLabels(splits, DAY_MS, format)).toEqual(['2 Nov', '3 Nov', '3 Nov']);
  });
});
