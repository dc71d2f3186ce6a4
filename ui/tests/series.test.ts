import { describe, expect, test } from 'vitest';
import * as decode from '../src/api/decode';
import type { PowerColumns } from '../src/api/types';
import { axisMarks, bucketAt, makeSeries, summarise } from '../src/model/series';

const STEP = 10_000;

function columns(power_w: (number | null)[], change: Partial<PowerColumns> = {}): PowerColumns {
  return {
    resolution_ms: STEP,
    time_ms: power_w.map((_, index) => (index + 1) * STEP),
    power_w,
    minimum_w: power_w,
    maximum_w: power_w,
    estimated: power_w.map(() => false),
    ...change,
  };
}

describe('series', () => {
  test('line_begins_where_the_first_bucket_begins', () => {
    const { time_s, sure_w, gaps } = makeSeries(columns([100, 200]));
    expect(time_s).toEqual([0, 10, 20]);
    expect(sure_w).toEqual([100, 100, 200]);
    expect(gaps).toEqual([]);
  });

  test('empty_buckets_between_readings_are_a_gap', () => {
    const { time_s, sure_w, gaps } = makeSeries(columns([100, null, null, 200]));
    expect(gaps).toEqual([{ from_ms: 10_000, to_ms: 30_000 }]);
    expect(time_s).toEqual([0, 10, 20, 30, 40]);
    expect(sure_w).toEqual([100, 100, null, 200, 200]);
  });

  test('buckets_left_out_are_the_same_gap', () => {
    const left_out = columns([100, 200], { time_ms: [10_000, 40_000] });
    expect(makeSeries(left_out)).toEqual(makeSeries(columns([100, null, null, 200])));
  });

  test('single_empty_bucket_is_a_gap_and_jitter_is_none', () => {
    expect(makeSeries(columns([1, null, 1])).gaps).toHaveLength(1);
    expect(makeSeries(columns([1, 1], { time_ms: [10_000, 20_040] })).gaps).toHaveLength(0);
  });

  test('empty_point_shorter_than_a_bucket_is_a_gap_that_ends_with_it', () => {
    const short = columns([1, null, 1], { time_ms: [10_000, 15_000, 25_000] });
    expect(makeSeries(short).gaps).toEqual([{ from_ms: 10_000, to_ms: 15_000 }]);
  });

  test('empty_buckets_at_the_ends_are_no_gap', () => {
    expect(makeSeries(columns([null, 100, null])).gaps).toEqual([]);
  });

  test('estimated_stretch_joins_the_sure_one', () => {
    const { time_s, sure_w, estimated_w } = makeSeries(columns([1, 2, 3], { estimated: [false, true, false] }));
    expect(time_s).toEqual([0, 10, 20, 30]);
    expect(sure_w).toEqual([1, 1, 3, 3]);
    expect(estimated_w).toEqual([null, 2, 2, null]);
  });

  test('band_exists_only_where_buckets_hold_several_values', () => {
    expect(makeSeries(columns([1, 2])).hasBand).toBe(false);
    expect(makeSeries(columns([1, 2], { maximum_w: [1, 5] })).hasBand).toBe(true);
  });
});

describe('summary', () => {
  test('counts_only_what_lies_in_the_window', () => {
    const data = columns([1000, 100, null, 300], { maximum_w: [9000, 150, null, 900], minimum_w: [0, 50, null, 200] });
    expect(summarise(data, { from_ms: 10_000, to_ms: 40_000 })).toEqual({
      mean_w: 200, lowest_w: 50, lowest_ms: 20_000, highest_w: 900, highest_ms: 40_000, recorded: 2 / 3, hasEstimates: false,
    });
  });

  test('is_absent_when_nothing_was_recorded', () => {
    expect(summarise(columns([null, null]), { from_ms: 0, to_ms: 20_000 })).toBeNull();
  });

  test('bucket_is_found_by_any_instant_inside', () => {
    const data = columns([1, null, 3]);
    expect([0, 9_999, 10_000, 20_000, 29_999, 30_000].map((instant) => bucketAt(data, instant))).toEqual([0, 0, -1, 2, 2, -1]);
  });

  test('axis_marks_are_round_and_reach_the_peak', () => {
    expect(axisMarks(14.2, 4)).toEqual([0, 5, 10, 15]);
    expect(axisMarks(0.01, 4)).toEqual([0, 0.0025, 0.005, 0.0075, 0.01]);
    expect(axisMarks(30, 4)).toEqual([0, 10, 20, 30]);
    for (let peak = 0.02; peak < 1e6; peak *= 1.7) {
      const marks = axisMarks(peak, 4);
      expect(marks.at(-1)).toBeGreaterThanOrEqual(peak * (1 - 1e-9));
      expect(marks.length).toBeLessThanOrEqual(5);
    }
  });
});

describe('answers', () => {
  const power = { resolution_ms: 1, time_ms: [1, 2], power_w: [1, null], minimum_w: [1, null], maximum_w: [1, null], estimated: [false, true] };

  test('sound_answer_passes_and_unknown_fields_are_ignored', () => {
    expect(decode.power({ ...power, later: 'field' })).toEqual(power);
  });

  test('each_broken_answer_names_its_field', () => {
    expect(() => decode.power({ ...power, power_w: [1] })).toThrow('power_w is not as long as time_ms');
    expect(() => decode.power({ ...power, estimated: [0, 1] })).toThrow('estimated[0] is not true or false');
    expect(() => decode.devices([{ id: 7 }])).toThrow('devices[0].id is not a text');
    expect(() => decode.devices({})).toThrow('devices is not a list');
    expect(() => decode.devices(Array(10_001).fill(null))).toThrow('at most 10000 entries');
    expect(() => decode.status(null)).toThrow('status is not an object');
  });

  test('buckets_are_put_in_order_of_time_each_end_once', () => {
    const time_ms = [30, 10, 20, 10];
    const column = [3, 1, 2, 9];
    const estimated = [true, false, false, false];
    const read = decode.power({ resolution_ms: 10, time_ms, power_w: column, minimum_w: column, maximum_w: column, estimated });
    expect([read.time_ms, read.power_w, read.estimated]).toEqual([[10, 20, 30], [1, 2, 3], [false, false, true]]);
  });

  test('meter_without_a_name_goes_by_its_id', () => {
    const device = { id: '3c71', name: '', readings: 0, last_reading_ms: null, power_w: null };
    expect(decode.devices([device])[0]).toMatchObject({ name: '3c71', last_collected_ms: null, conflicts: 0 });
  });
});
