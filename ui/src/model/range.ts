// The window of time that a graph shows, and how it moves. Pure: no clock, no page.

import { DAY_MS, HOUR_MS, MINUTE_MS, type Span } from './time';

/** Narrowest window: twelve readings of the usual ten seconds. */
export const SPAN_MS_MIN = 2 * MINUTE_MS;
/** Widest window. */
export const SPAN_MS_MAX = 5 * 366 * DAY_MS;

/** Windows that a tap offers. */
export const PRESETS = [
  { key: '1h', label: '1 h', spoken: 'one hour', span_ms: HOUR_MS },
  { key: '6h', label: '6 h', spoken: 'six hours', span_ms: 6 * HOUR_MS },
  { key: '1d', label: '1 d', spoken: 'one day', span_ms: DAY_MS },
  { key: '7d', label: '7 d', spoken: 'seven days', span_ms: 7 * DAY_MS },
  { key: '30d', label: '30 d', spoken: 'thirty days', span_ms: 30 * DAY_MS },
  { key: '1y', label: '1 y', spoken: 'one year', span_ms: 365 * DAY_MS },
] as const;

export type PresetKey = (typeof PRESETS)[number]['key'];
export const PRESET_DEFAULT: PresetKey = '1d';

/** What a graph shows: a window that follows the newest reading, or a fixed one. */
export type View = { kind: 'follow'; preset: PresetKey } | { kind: 'fixed'; range: Span };

/** Gives the window of a view whose newest reading is at `newest_ms`. */
export function viewRange(view: View, newest_ms: number): Span {
  if (view.kind === 'fixed') return view.range;
  const preset = PRESETS.find(({ key }) => key === view.preset) ?? PRESETS[2];
  return { from_ms: newest_ms - preset.span_ms, to_ms: newest_ms };
}

/** Keeps a window's width within the limits and its end at or before `end_ms`. */
export function clampRange({ from_ms, to_ms }: Span, end_ms: number): Span {
  const span = Math.min(SPAN_MS_MAX, Math.max(SPAN_MS_MIN, to_ms - from_ms));
  const middle = (from_ms + to_ms) / 2;
  const to = Math.min(end_ms, to_ms - from_ms === span ? to_ms : middle + span / 2);
  return { from_ms: Math.round(to - span), to_ms: Math.round(to) };
}

/** Scales a window by `factor` (below 1 narrows) around the instant `around_ms`. */
export function zoomRange({ from_ms, to_ms }: Span, factor: number, around_ms = (from_ms + to_ms) / 2): Span {
  const span = Math.min(SPAN_MS_MAX, Math.max(SPAN_MS_MIN, (to_ms - from_ms) * factor));
  const share = (around_ms - from_ms) / (to_ms - from_ms);
  const from = around_ms - span * share;
  return { from_ms: Math.round(from), to_ms: Math.round(from + span) };
}

/** Moves a window by a share of its width; negative goes back in time. */
export function panRange({ from_ms, to_ms }: Span, share: number): Span {
  const by = Math.round((to_ms - from_ms) * share);
  return { from_ms: from_ms + by, to_ms: to_ms + by };
}

/** Reads a view from the parameters of an address; anything unusable gives the default. */
export function parseView(parameters: URLSearchParams): View {
  const from_ms = Number(parameters.get('from') ?? Number.NaN);
  const to_ms = Number(parameters.get('to') ?? Number.NaN);
  const span = to_ms - from_ms;
  // Times beyond the year 3000 or before 1970 come from a mangled address, not from a meter.
  const isSane = from_ms >= 0 && to_ms < 32_503_680_000_000 && span >= SPAN_MS_MIN && span <= SPAN_MS_MAX;
  if (isSane) return { kind: 'fixed', range: { from_ms, to_ms } };
  const preset = PRESETS.find(({ key }) => key === parameters.get('span'));
  return { kind: 'follow', preset: preset?.key ?? PRESET_DEFAULT };
}

/** Writes a view as the parameters of an address; the default view has none. */
export function viewParameters(view: View): Record<string, string> {
  if (view.kind === 'fixed') {
    return { from: String(Math.round(view.range.from_ms)), to: String(Math.round(view.range.to_ms)) };
  }
  return view.preset === PRESET_DEFAULT ? {} : { span: view.preset };
}
