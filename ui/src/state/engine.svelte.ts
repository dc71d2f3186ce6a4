// The engine as the whole page sees it: whether it answers, its clock, its zone. Ages are counted
// on the engine's clock, because the browser's may be wrong or, with simulated meters, another.

import { fetchStatus, onReachable } from '../api/client';
import { makeFormatter } from '../model/format';
import { pickLocale, pickZone } from '../model/locale';
import { Poll } from './poll.svelte';

const STATUS_INTERVAL_MS = 10_000;

class Engine {
  /** False from the first unanswered request until the next answer. */
  isReachable = $state(true);
  /** Engine's time in milliseconds, renewed each second. */
  now_ms = $state(Date.now());

  readonly status = new Poll(STATUS_INTERVAL_MS, async (signal) => {
    const status = await fetchStatus(signal);
    this.#offset_ms = status.now_ms - Date.now();
    this.now_ms = status.now_ms;
    return status;
  });

  #offset_ms = 0;
  #locale = pickLocale(navigator.languages ?? [navigator.language]);
  #zone = $derived(pickZone(this.status.value?.time_zone ?? 'UTC'));

  /** Formats figures and times in the engine's zone. */
  format = $derived(makeFormatter(this.#locale, this.#zone));

  /** Zone in which days are cut. */
  get zone(): string {
    return this.#zone;
  }

  /** Keeps everything up to date; gives the way to stop. */
  start(): () => void {
    const forget = onReachable((reachable) => (this.isReachable = reachable));
    const stop = this.status.start();
    const timer = setInterval(() => (this.now_ms = Date.now() + this.#offset_ms), 1000);
    return () => {
      forget();
      stop();
      clearInterval(timer);
    };
  }
}

export const engine = new Engine();
