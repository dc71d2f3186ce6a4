// A value that is asked for again and again while someone looks. It keeps what it had when a
// request fails, says since when, and tries again sooner the shorter the trouble has lasted.

import { ApiError, onReachable } from '../api/client';

/** First wait after a failure; it doubles up to the poll's own interval. */
const RETRY_MS = 1000;

/** A repeated request. Make it in a component and call `start` in an `$effect`, which stops it. */
export class Poll<T> {
  value = $state.raw<T>();
  error = $state.raw<ApiError>();
  /** Browser time at which `value` arrived. */
  received_ms = $state<number>();
  isLoading = $state(false);

  #load: (signal: AbortSignal) => Promise<T>;
  #interval_ms: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: AbortController | undefined;
  #failures = 0;
  #isStarted = false;

  constructor(interval_ms: number, load: (signal: AbortSignal) => Promise<T>) {
    this.#interval_ms = interval_ms;
    this.#load = load;
  }

  /** Asks now and then at each interval; gives the way to stop. */
  start(): () => void {
    this.#isStarted = true;
    const wake = () => {
      if (document.visibilityState === 'visible') void this.refresh();
      else this.#cancel();
    };
    // When any request gets through, those that failed need not wait for their turn.
    const forget = onReachable((reachable) => {
      if (reachable && this.error?.kind === 'unreachable' && !this.#running) void this.refresh();
    });
    document.addEventListener('visibilitychange', wake);
    void this.refresh();
    return () => {
      this.#isStarted = false;
      document.removeEventListener('visibilitychange', wake);
      forget();
      this.#cancel();
    };
  }

  /** Asks at once; an answer under way is dropped. */
  async refresh(): Promise<void> {
    this.#cancel();
    const running = new AbortController();
    this.#running = running;
    this.isLoading = true;
    try {
      const value = await this.#load(running.signal);
      if (running.signal.aborted) return;
      this.value = value;
      this.received_ms = Date.now();
      this.error = undefined;
      this.#failures = 0;
    } catch (error) {
      if (running.signal.aborted) return;
      // Anything else than a failed request is a fault of the page and belongs in its console.
      if (!(error instanceof ApiError)) throw error;
      this.error = error;
      this.#failures += 1;
    } finally {
      if (!running.signal.aborted) {
        this.#running = undefined;
        this.isLoading = false;
        this.#schedule();
      }
    }
  }

  #cancel(): void {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#running = undefined;
    this.isLoading = false;
  }

  #schedule(): void {
    if (!this.#isStarted || document.visibilityState !== 'visible') return;
    const retry_ms = RETRY_MS * 2 ** Math.min(this.#failures - 1, 10);
    const wait_ms = this.#failures === 0 ? this.#interval_ms : Math.min(retry_ms, this.#interval_ms);
    this.#timer = setTimeout(() => void this.refresh(), wait_ms);
  }
}
