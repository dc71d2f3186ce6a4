// From the engine's columns to what a graph draws: every gap made explicit, estimated stretches
// apart from sure ones, and the sentence that stands for the picture.

import type { PowerColumns } from '../api/types';
import type { Span } from './time';

type Column = (number | null)[];

/** Columns for drawing, all of the length of `time_s`. */
export interface Series {
  /** End of each bucket in seconds, as the chart library wants it. */
  time_s: number[];
  minimum_w: Column;
  maximum_w: Column;
  /** Mean power where the time is sure. */
  sure_w: Column;
  /** Mean power where the time is an estimate. */
  estimated_w: Column;
  resolution_ms: number;
  /** Stretches without readings between others. */
  gaps: Span[];
  /** Whether buckets have a lowest and a highest value apart from their mean. */
  hasBand: boolean;
}

/** Steps above this many buckets are a gap, even where the engine wrote no empty bucket. */
const GAP_BUCKETS = 1.6;

/** Turns columns into series. Empty buckets at both ends are no gap: nothing is known beyond. */
export function makeSeries(columns: PowerColumns): Series {
  const { resolution_ms, time_ms } = columns;
  const series: Series = {
    time_s: [], minimum_w: [], maximum_w: [], sure_w: [], estimated_w: [], resolution_ms, gaps: [], hasBand: false,
  };
  let end_ms: number | null = null;
  let empty_ms: number | null = null;
  let wasEstimated = false;
  for (const [index, time] of time_ms.entries()) {
    const power = columns.power_w[index]!;
    if (power === null) {
      empty_ms = time;
      continue;
    }
    const isFar = end_ms !== null && time - end_ms > GAP_BUCKETS * resolution_ms;
    const isGap = end_ms !== null && (empty_ms !== null || isFar);
    // The empty bucket's end is sharper than the resolution where readings have several lengths.
    const begin_ms = Math.max(end_ms ?? -Infinity, empty_ms ?? time - resolution_ms);
    if (end_ms !== null && isGap) {
      series.gaps.push({ from_ms: end_ms, to_ms: begin_ms });
      push(series, (end_ms + begin_ms) / 2, null, null, null, false);
    }
    // A step is drawn back to the point before it, so each line needs a point to begin at.
    const estimated = columns.estimated[index]!;
    if (end_ms === null || isGap) pushBucket(series, columns, index, begin_ms);
    else if (estimated !== wasEstimated) (estimated ? series.estimated_w : series.sure_w)[series.time_s.length - 1] = power;
    pushBucket(series, columns, index, time);
    end_ms = time;
    empty_ms = null;
    wasEstimated = estimated;
  }
  return series;
}

function pushBucket(series: Series, columns: PowerColumns, index: number, time_ms: number): void {
  const power = columns.power_w[index]!;
  const minimum = columns.minimum_w[index] ?? power;
  const maximum = columns.maximum_w[index] ?? power;
  if (minimum !== maximum) series.hasBand = true;
  push(series, time_ms, power, minimum, maximum, columns.estimated[index]!);
}

function push(series: Series, time_ms: number, power: number | null, minimum: number | null, maximum: number | null, estimated: boolean): void {
  series.time_s.push(time_ms / 1000);
  series.sure_w.push(estimated ? null : power);
  series.estimated_w.push(estimated ? power : null);
  series.minimum_w.push(minimum);
  series.maximum_w.push(maximum);
}

/** What a graph says in figures. */
export interface Summary {
  mean_w: number;
  lowest_w: number;
  lowest_ms: number;
  highest_w: number;
  highest_ms: number;
  /** Share of the window that has readings, 0 to 1. */
  recorded: number;
  hasEstimates: boolean;
}

/** Sums a window up; `null` when nothing was recorded in it. */
export function summarise(columns: PowerColumns, { from_ms, to_ms }: Span): Summary | null {
  let count = 0;
  let sum = 0;
  let summary: Summary | null = null;
  for (const [index, time_ms] of columns.time_ms.entries()) {
    const power = columns.power_w[index]!;
    if (power === null || time_ms <= from_ms || time_ms - columns.resolution_ms >= to_ms) continue;
    count += 1;
    sum += power;
    const lowest_w = columns.minimum_w[index] ?? power;
    const highest_w = columns.maximum_w[index] ?? power;
    summary ??= { mean_w: 0, lowest_w, lowest_ms: time_ms, highest_w, highest_ms: time_ms, recorded: 0, hasEstimates: false };
    if (lowest_w < summary.lowest_w) Object.assign(summary, { lowest_w, lowest_ms: time_ms });
    if (highest_w > summary.highest_w) Object.assign(summary, { highest_w, highest_ms: time_ms });
    summary.hasEstimates ||= columns.estimated[index]!;
  }
  if (summary === null) return null;
  const recorded = Math.min(1, (count * columns.resolution_ms) / (to_ms - from_ms));
  return { ...summary, mean_w: sum / count, recorded };
}

/** Finds the bucket that covers an instant; -1 where nothing was recorded. */
export function bucketAt({ time_ms, power_w, resolution_ms }: PowerColumns, instant_ms: number): number {
  let low = 0;
  let high = time_ms.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (time_ms[middle]! > instant_ms) high = middle;
    else low = middle + 1;
  }
  const isCovered = low < time_ms.length && time_ms[low]! - resolution_ms <= instant_ms && power_w[low] !== null;
  return isCovered ? low : -1;
}

/** Gives round marks for an axis from zero to at least `peak` (above zero), at most `count` steps. */
export function axisMarks(peak: number, count: number): number[] {
  const rough = peak / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough * (1 - 1e-9)) ?? 10 * power;
  const steps = Math.ceil(peak / step - 1e-9);
  return Array.from({ length: steps + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}
