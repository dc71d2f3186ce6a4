// How the power graph is drawn: series, axes, shading of gaps. It knows the chart library and the
// page's colours, and nothing about where data come from.

import uPlot from 'uplot';
import { powerUnit, type Formatter } from '../model/format';
import type { Series } from '../model/series';
import { DAY_MS, HOUR_MS, MINUTE_MS, type Span } from '../model/time';

/** Colours of the page, as a canvas wants them. */
export interface Palette {
  ink: string;
  line: string;
  gap: string;
  power: string;
  band: string;
  wash: string;
}

/** Reads the present theme's colours from an element. */
export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element);
  const value = (name: string) => style.getPropertyValue(name).trim();
  return {
    ink: value('--ink-soft'),
    line: value('--line'),
    gap: value('--line-strong'),
    power: value('--power'),
    band: value('--power-band'),
    wash: value('--power-wash'),
  };
}

/** Orders the columns as the series below are. */
export function plotData({ time_s, maximum_w, minimum_w, sure_w, estimated_w }: Series): uPlot.AlignedData {
  return [time_s, maximum_w, minimum_w, sure_w, estimated_w];
}

/** What the plot asks for while it draws, and whom it tells. */
export interface PlotEnvironment {
  palette: Palette;
  format: () => Formatter;
  gaps: () => Span[];
  /** Instant after which nothing was collected. */
  newest_ms: () => number;
  /** Window that the user drew. */
  onSelect: (range: Span) => void;
  /** Instant under the pointer, or null when it left. */
  onPoint: (instant_ms: number | null) => void;
  onReset: () => void;
}

const FONT = '12px system-ui, "Noto Sans", "DejaVu Sans", sans-serif';
/** A shorter drag is a slip of the hand. */
const DRAG_PX_MIN = 6;

/** Makes the options of a plot of the given size (CSS pixels). */
export function plotOptions(width: number, height: number, env: PlotEnvironment): uPlot.Options {
  const { palette } = env;
  // A step reaches back from a bucket's end to its beginning.
  const stepped = uPlot.paths.stepped!({ align: -1 });
  const edge = { stroke: 'transparent', width: 0, paths: stepped, points: { show: false } };
  const line = { stroke: palette.power, fill: palette.wash, fillTo: 0, width: 1.6, paths: stepped, points: { show: false } };
  return {
    width,
    height,
    padding: [12, 8, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      points: { show: false },
      drag: { x: true, y: false, setScale: false, dist: DRAG_PX_MIN },
      bind: {
        dblclick: () => () => {
          env.onReset();
          return null;
        },
      },
    },
    tzDate: (time_s) => uPlot.tzDate(new Date(time_s * 1000), env.format().zone),
    scales: { x: { time: true }, y: { range: yRange } },
    series: [{}, edge, edge, line, { ...line, dash: [4, 4] }],
    bands: [{ series: [1, 2], fill: palette.band }],
    axes: [timeAxis(env), powerAxis(env)],
    hooks: {
      drawClear: [(plot) => shadeGaps(plot, env)],
      setSelect: [(plot) => reportSelection(plot, env)],
      setCursor: [
        ({ cursor, posToVal }) => {
          const left = cursor.left ?? -1;
          env.onPoint(left < 0 ? null : posToVal(left, 'x') * 1000);
        },
      ],
    },
  };
}

/** Always shows zero, so that the height of the line is the power. */
function yRange(_plot: uPlot, low: number | null, high: number | null): uPlot.Range.MinMax {
  const top = Math.max(high ?? 0, 0);
  const bottom = Math.min(low ?? 0, 0);
  const room = Math.max(top - bottom, 10) * 0.08;
  return [bottom < 0 ? bottom - room : 0, top > 0 || bottom === 0 ? top + room : 0];
}

function reportSelection(plot: uPlot, env: PlotEnvironment): void {
  const { left, width } = plot.select;
  if (width < DRAG_PX_MIN) return;
  env.onSelect({ from_ms: plot.posToVal(left, 'x') * 1000, to_ms: plot.posToVal(left + width, 'x') * 1000 });
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
}

function timeAxis(env: PlotEnvironment): uPlot.Axis {
  return {
    stroke: env.palette.ink,
    font: FONT,
    size: 46,
    gap: 6,
    space: 64,
    grid: { stroke: env.palette.line, width: 1 },
    ticks: { stroke: env.palette.line, width: 1, size: 4 },
    values: (_plot, splits, _axis, _space, step_s) => timeLabels(splits, step_s * 1000, env.format()),
  };
}

/** Writes clock times with the date below where it changes, or dates alone on a wide window. */
export function timeLabels(splits_s: number[], step_ms: number, format: Formatter): string[] {
  return splits_s.map((split, index) => {
    const time_ms = split * 1000;
    if (step_ms >= 27 * DAY_MS) return format.month(time_ms);
    if (step_ms >= DAY_MS) return format.dayMonth(time_ms);
    const clock = step_ms < MINUTE_MS ? format.clockSeconds(time_ms) : format.clockMinutes(time_ms);
    const isNewDay = index === 0 || !format.isSameDay(time_ms, splits_s[index - 1]! * 1000);
    const day = step_ms >= HOUR_MS ? format.dayMonth(time_ms) : format.dayShort(time_ms);
    return isNewDay ? `${clock}\n${day}` : clock;
  });
}

function powerAxis(env: PlotEnvironment): uPlot.Axis {
  return {
    stroke: env.palette.ink,
    font: FONT,
    size: 56,
    gap: 4,
    space: 40,
    grid: { stroke: env.palette.line, width: 1 },
    ticks: { show: false },
    values: (plot, splits) => {
      const { unit, divisor } = powerUnit(Math.max(...[plot.scales['y']!.min ?? 0, plot.scales['y']!.max ?? 0].map(Math.abs)));
      const decimals = divisor === 1 ? 0 : (splits[1]! - splits[0]!) % 1000 === 0 ? 0 : 1;
      const last = splits.length - 1;
      return splits.map((split, index) => {
        const figure = env.format().figure(split / divisor, decimals);
        return index === last ? `${figure}\u00a0${unit}` : figure;
      });
    },
  };
}

/** Hatches what has no readings: gaps, and the time after the newest reading. */
function shadeGaps(plot: uPlot, env: PlotEnvironment): void {
  const { min = 0, max = 0 } = plot.scales['x']!;
  const stretches = env.gaps().map((gap) => ({ ...gap, label: 'no readings' }));
  const newest_ms = env.newest_ms();
  if (newest_ms < max! * 1000) stretches.push({ from_ms: newest_ms, to_ms: max! * 1000, label: 'not collected yet' });
  const { ctx, bbox } = plot;
  ctx.save();
  for (const { from_ms, to_ms, label } of stretches) {
    const left = plot.valToPos(Math.max(from_ms / 1000, min!), 'x', true);
    const right = plot.valToPos(Math.min(to_ms / 1000, max!), 'x', true);
    if (right - left < 1) continue;
    hatch(ctx, left, bbox.top, right - left, bbox.height, env.palette.gap);
    labelStretch(ctx, left, bbox.top, right - left, label, env.palette.ink);
  }
  ctx.restore();
}

function hatch(ctx: CanvasRenderingContext2D, left: number, top: number, width: number, height: number, color: string): void {
  const step = 8 * devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.globalAlpha = 0.45;
  ctx.strokeStyle = color;
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  // Lines start at multiples of the step, so that the pattern stands still while gaps move.
  for (let x = Math.floor((left - height) / step) * step; x < left + width; x += step) {
    ctx.moveTo(x, top + height);
    ctx.lineTo(x + height, top);
  }
  ctx.stroke();
  ctx.restore();
}

function labelStretch(ctx: CanvasRenderingContext2D, left: number, top: number, width: number, label: string, color: string): void {
  ctx.font = FONT.replace('12px', `${12 * devicePixelRatio}px`);
  const margin = 8 * devicePixelRatio;
  if (ctx.measureText(label).width + 2 * margin > width) return;
  ctx.fillStyle = color;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'top';
  ctx.fillText(label, left + width / 2, top + margin);
}
