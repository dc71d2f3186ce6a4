import { describe, expect, test } from 'vitest';
import { stretch } from '../src/components/gestures';
import { SPAN_MS_MAX, SPAN_MS_MIN, clampRange, panRange, parseView, viewParameters, viewRange, zoomRange } from '../src/model/range';
import { meterPath, parseRoute } from '../src/model/route';
import { DAY_MS, HOUR_MS } from '../src/model/time';

const NEWEST = Date.parse('2026-11-03T12:00:00Z');
const day = { from_ms: NEWEST - DAY_MS, to_ms: NEWEST };

describe('window', () => {
  test('zoom_keeps_the_instant_under_the_pointer_in_place', () => {
    const around = day.from_ms + DAY_MS / 4;
    const near = zoomRange(day, 0.5, around);
    expect(near.to_ms - near.from_ms).toBe(DAY_MS / 2);
    expect((around - near.from_ms) / (near.to_ms - near.from_ms)).toBeCloseTo(0.25);
  });

  test('zoom_out_undoes_zoom_in', () => {
    expect(zoomRange(zoomRange(day, 0.5), 2)).toEqual(day);
  });

  test('zoom_stops_at_the_narrowest_and_the_widest_window', () => {
    const narrow = zoomRange(day, 1e-9);
    const wide = zoomRange(day, 1e9);
    expect([narrow.to_ms - narrow.from_ms, wide.to_ms - wide.from_ms]).toEqual([SPAN_MS_MIN, SPAN_MS_MAX]);
  });

  test('clamp_keeps_the_width_and_ends_with_the_newest_reading', () => {
    expect(clampRange(panRange(day, 3), NEWEST)).toEqual(day);
    const earlier = panRange(day, -3);
    expect(clampRange(earlier, NEWEST)).toEqual(earlier);
    expect(clampRange({ from_ms: NEWEST - 1000, to_ms: NEWEST }, NEWEST)).toEqual({ from_ms: NEWEST - SPAN_MS_MIN, to_ms: NEWEST });
  });

  test('following_window_moves_with_the_newest_reading', () => {
    const view = { kind: 'follow', preset: '6h' } as const;
    expect(viewRange(view, NEWEST)).toEqual({ from_ms: NEWEST - 6 * HOUR_MS, to_ms: NEWEST });
    expect(viewRange(view, NEWEST + 5).to_ms).toBe(NEWEST + 5);
  });
});

describe('address', () => {
  const through = (view: Parameters<typeof viewParameters>[0]) => parseView(new URLSearchParams(viewParameters(view)));

  test('view_survives_its_address', () => {
    for (const view of [{ kind: 'fixed', range: day }, { kind: 'follow', preset: '30d' }, { kind: 'follow', preset: '1d' }] as const) {
      expect(through(view)).toEqual(view);
    }
  });

  test('mangled_window_gives_the_default_view', () => {
    for (const query of ['from=a&to=b', 'from=9&to=1', 'from=0&to=99999999999999', 'from=-5&to=500000', 'span=2h', 'from=1', 'from=1&to=Infinity']) {
      expect(parseView(new URLSearchParams(query)), query).toEqual({ kind: 'follow', preset: '1d' });
    }
  });

  test('meter_route_survives_its_path', () => {
    const route = parseRoute(meterPath('a/b ?#', { from: '1', to: '2' }));
    expect(route.page === 'meter' && [route.id, route.parameters.get('to')]).toEqual(['a/b ?#', '2']);
  });

  test('foreign_paths_lead_to_no_page', () => {
    expect(['', '#', '#/'].map((hash) => parseRoute(hash).page)).toEqual(['meters', 'meters', 'meters']);
    expect(['#/nothing', '#/meters/', '#/meters/1/2', '#/meters/%zz'].map((hash) => parseRoute(hash).page)).toEqual(Array(4).fill('unknown'));
  });
});

describe('fingers', () => {
  test('one_finger_to_the_right_shows_what_was_earlier', () => {
    expect(stretch(day, [0.5], [0.75])).toEqual(panRange(day, -0.25));
  });

  test('two_fingers_apart_keep_what_is_under_them', () => {
    const near = stretch(day, [0.4, 0.6], [0.2, 0.8]);
    const place = (share: number) => near.from_ms + share * (near.to_ms - near.from_ms);
    expect(place(0.2)).toBeCloseTo(day.from_ms + 0.4 * DAY_MS, -1);
    expect(place(0.8)).toBeCloseTo(day.from_ms + 0.6 * DAY_MS, -1);
  });
});
