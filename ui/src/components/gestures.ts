// Fingers on a graph: one moves it sideways, two stretch it. The page keeps scrolling up and down.
// A mouse does not come here; the chart library makes its selection.

import { panRange, zoomRange } from '../model/range';
import type { Span } from '../model/time';

/** What the fingers act on. */
export interface GestureTarget {
  /** Window shown when the fingers come down. */
  range: () => Span;
  /** Shows a window while the fingers move. */
  onMove: (range: Span) => void;
  /** Takes the window at which the fingers let go. */
  onEnd: (range: Span) => void;
}

/** Movement below which a touch is a tap. */
const TAP_PX = 8;

/** Listens to touches on an element; gives the way to stop. */
export function listenToTouches(element: HTMLElement, target: GestureTarget): () => void {
  const fingers = new Map<number, number>();
  let start: { range: Span; fingers: number[] } | null = null;
  let moved: Span | null = null;

  const begin = () => {
    start = fingers.size === 0 ? null : { range: moved ?? target.range(), fingers: [...fingers.values()].slice(0, 2) };
  };
  const down = (event: PointerEvent) => {
    if (event.pointerType !== 'touch') return;
    fingers.set(event.pointerId, event.clientX);
    begin();
  };
  const move = (event: PointerEvent) => {
    if (!fingers.has(event.pointerId) || !start) return;
    fingers.set(event.pointerId, event.clientX);
    const { left, width } = element.getBoundingClientRect();
    const now = [...fingers.values()].slice(0, 2);
    const next = stretch(start.range, start.fingers.map((x) => (x - left) / width), now.map((x) => (x - left) / width));
    const hasMoved = now.some((x, index) => Math.abs(x - start!.fingers[index]!) >= TAP_PX);
    if (!moved && !hasMoved) return;
    moved = next;
    target.onMove(next);
  };
  const up = (event: PointerEvent) => {
    if (!fingers.delete(event.pointerId)) return;
    begin();
    if (fingers.size > 0 || !moved) return;
    const end = moved;
    moved = null;
    target.onEnd(end);
  };
  const listeners = { pointerdown: down, pointermove: move, pointerup: up, pointercancel: up };
  const all = Object.entries(listeners) as [keyof HTMLElementEventMap, EventListener][];
  for (const [name, listener] of all) element.addEventListener(name, listener);
  return () => {
    for (const [name, listener] of all) element.removeEventListener(name, listener);
  };
}

/** Gives the window in which what was under the fingers still is; places are shares of the width. */
export function stretch(range: Span, before: number[], after: number[]): Span {
  if (before.length < 2 || after.length < 2) return panRange(range, (before[0] ?? 0) - (after[0] ?? 0));
  const width = range.to_ms - range.from_ms;
  const [apartBefore, apartAfter] = [before, after].map(([a, b]) => Math.max(0.02, Math.abs(a! - b!))) as [number, number];
  const [middleBefore, middleAfter] = [before, after].map(([a, b]) => (a! + b!) / 2) as [number, number];
  const scaled = zoomRange(range, apartBefore / apartAfter, range.from_ms + middleBefore * width);
  return panRange(scaled, middleBefore - middleAfter);
}
