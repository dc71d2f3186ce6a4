// The only place that talks to the engine: one function for each request, with a time limit, and
// every failure as an `ApiError` that a page can show as it is.

import * as decode from './decode';
import type { Device, Energy, EnergyStep, Job, PowerColumns, Reading, Status } from './types';

/** Longest wait for an answer. The engine is on this machine, so a longer silence is a fault. */
const TIMEOUT_MS = 10_000;

/** Most points that the engine gives for a graph. */
export const POINTS_MAX = 4000;

export type ApiErrorKind =
  /** The engine does not answer at all. */
  | 'unreachable'
  /** What answers is not this engine, or speaks another version. */
  | 'not_understood'
  /** There is no such thing. */
  | 'not_found'
  /** The engine says why not. */
  | 'refused';

/** A request that failed, in words for the user. */
export class ApiError extends Error {
  constructor(
    readonly kind: ApiErrorKind,
    message: string,
    /** What to do about it; may be empty. */
    readonly hint = '',
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'ApiError';
  }
}

type Listener = (reachable: boolean) => void;
const listeners = new Set<Listener>();

/** Tells after each request whether the engine answered. Returns the way to stop that. */
export function onReachable(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell(reachable: boolean): void {
  for (const listener of listeners) listener(reachable);
}

interface Send {
  signal?: AbortSignal | undefined;
  body?: unknown;
}

async function request<T>(path: string, read: (value: unknown) => T, { signal, body }: Send = {}): Promise<T> {
  const limit = new AbortController();
  const stop = () => limit.abort(signal?.reason);
  signal?.throwIfAborted();
  signal?.addEventListener('abort', stop, { once: true });
  const timer = setTimeout(() => limit.abort(), TIMEOUT_MS);
  try {
    const { status, ok, payload } = await exchange(path, body, limit.signal);
    tell(true);
    if (!ok) throw refusal(status, payload);
    return understood(payload, read);
  } catch (error) {
    // The page asked for the end itself; that says nothing about the engine.
    if (signal?.aborted) throw error;
    if (error instanceof ApiError) throw error;
    tell(false);
    throw new ApiError('unreachable', 'ofmon is not answering.', 'Is `ofmon serve` still running?', { cause: error });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}

async function exchange(path: string, body: unknown, signal: AbortSignal) {
  const headers: Record<string, string> = { Accept: 'application/json' };
  const init: RequestInit = { headers, signal, cache: 'no-store', credentials: 'omit' };
  if (body !== undefined) {
    init.method = 'POST';
    init.body = JSON.stringify(body);
    headers['Content-Type'] = 'application/json';
    // A foreign page cannot send this header without asking first, which the engine refuses.
    headers['X-Ofmon'] = '1';
  }
  const response = await fetch(new URL(`api/v1/${path}`, document.baseURI), init);
  const answer = await response.text();
  let payload: unknown;
  try {
    payload = JSON.parse(answer);
  } catch {
    payload = undefined;
  }
  return { status: response.status, ok: response.ok, payload };
}

function understood<T>(payload: unknown, read: (value: unknown) => T): T {
  if (payload === undefined) {
    throw new ApiError('not_understood', 'What answers here is not ofmon.', 'Open the address that `ofmon serve` printed.');
  }
  try {
    return read(payload);
  } catch (error) {
    const what = error instanceof decode.DecodeError ? ` (${error.message})` : '';
    throw new ApiError('not_understood', `This page does not understand the answer${what}.`, 'Reload the page; page and ofmon may be of different versions.', { cause: error });
  }
}

function refusal(status: number, payload: unknown): ApiError {
  const error = (payload as { error?: { message?: unknown; hint?: unknown } } | undefined)?.error;
  const message = typeof error?.message === 'string' ? error.message : `The request failed with status ${status}.`;
  const hint = typeof error?.hint === 'string' ? error.hint : '';
  return new ApiError(status === 404 ? 'not_found' : 'refused', message, hint);
}

function query(values: Record<string, string | number>): string {
  return new URLSearchParams(Object.entries(values).map(([name, value]) => [name, String(value)])).toString();
}

function devicePath(id: string): string {
  return `devices/${encodeURIComponent(id)}`;
}

/** Says who answers, in which zone days are cut, and what time it is there. */
export function fetchStatus(signal?: AbortSignal): Promise<Status> {
  return request('status', decode.status, { signal });
}

/** Lists all meters that were ever collected. */
export function fetchDevices(signal?: AbortSignal): Promise<Device[]> {
  return request('devices', decode.devices, { signal });
}

/** Gives one meter. */
export function fetchDevice(id: string, signal?: AbortSignal): Promise<Device> {
  return request(devicePath(id), decode.device, { signal });
}

/** Gives the newest reading with all its values. */
export function fetchLatest(id: string, signal?: AbortSignal): Promise<Reading> {
  return request(`${devicePath(id)}/latest`, decode.reading, { signal });
}

/** Gives power over `[from_ms, to_ms)` in at most `points` buckets (1 to 4000). */
export function fetchPower(id: string, from_ms: number, to_ms: number, points: number, signal?: AbortSignal): Promise<PowerColumns> {
  const count = Math.min(POINTS_MAX, Math.max(1, Math.floor(points)));
  const values = { from_ms: Math.floor(from_ms), to_ms: Math.ceil(to_ms), points: count, channel: 1 };
  return request(`${devicePath(id)}/power?${query(values)}`, decode.power, { signal });
}

/** Gives energy over `[from_ms, to_ms)` in steps of local time. */
export function fetchEnergy(id: string, from_ms: number, to_ms: number, by: EnergyStep, signal?: AbortSignal): Promise<Energy> {
  return request(`${devicePath(id)}/energy?${query({ from_ms, to_ms, by })}`, decode.energy, { signal });
}

/** Starts a collection of the meters in range; gives the id of the job. */
export function startCollection(devices: string[] | null): Promise<string> {
  return request('collect', decode.jobId, { body: { devices } });
}

/** Gives the state of a job. */
export function fetchJob(id: string, signal?: AbortSignal): Promise<Job> {
  return request(`jobs/${encodeURIComponent(id)}`, decode.job, { signal });
}
