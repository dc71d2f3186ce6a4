// The border between bytes and types: each answer is checked field by field before a page sees
// it, so that a wrong server or another version gives one clear error here and not a blank page
// somewhere else. Unknown fields are ignored, so that a newer engine may say more.

import type { Device, Energy, EnergyBar, Job, JobProgress, PowerColumns, Reading, Status } from './types';

/** Says which field of an answer is not as agreed. */
export class DecodeError extends Error {
  constructor(path: string, wanted: string) {
    super(`${path} is not ${wanted}`);
    this.name = 'DecodeError';
  }
}

/** Most entries that a list in an answer may have; more is taken for a fault. */
const ENTRIES_MAX = 10_000;

type Fields = Record<string, unknown>;

function fields(value: unknown, path: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new DecodeError(path, 'an object');
  return value as Fields;
}

function list<T>(value: unknown, path: string, item: (value: unknown, path: string) => T): T[] {
  if (!Array.isArray(value)) throw new DecodeError(path, 'a list');
  if (value.length > ENTRIES_MAX) throw new DecodeError(path, `a list of at most ${ENTRIES_MAX} entries`);
  return value.map((entry, index) => item(entry, `${path}[${index}]`));
}

function number(value: unknown, path: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new DecodeError(path, 'a number');
  return value;
}

function text(value: unknown, path: string): string {
  if (typeof value !== 'string') throw new DecodeError(path, 'a text');
  return value;
}

function flag(value: unknown, path: string): boolean {
  if (typeof value !== 'boolean') throw new DecodeError(path, 'true or false');
  return value;
}

function optional<T>(item: (value: unknown, path: string) => T): (value: unknown, path: string) => T | null {
  return (value, path) => (value === null || value === undefined ? null : item(value, path));
}

const optionalNumber = optional(number);
const optionalText = optional(text);

export function status(value: unknown): Status {
  const from = fields(value, 'status');
  return {
    version: text(from['version'], 'version'),
    time_zone: text(from['time_zone'], 'time_zone'),
    data_dir: text(from['data_dir'], 'data_dir'),
    now_ms: number(from['now_ms'], 'now_ms'),
  };
}

export function device(value: unknown, path = 'device'): Device {
  const from = fields(value, path);
  const id = text(from['id'], `${path}.id`);
  return {
    id,
    // A meter that was never named goes by its id.
    name: optionalText(from['name'], `${path}.name`) || id,
    readings: number(from['readings'], `${path}.readings`),
    last_reading_ms: optionalNumber(from['last_reading_ms'], `${path}.last_reading_ms`),
    last_collected_ms: optionalNumber(from['last_collected_ms'], `${path}.last_collected_ms`),
    power_w: optionalNumber(from['power_w'], `${path}.power_w`),
    energy_import_wh: optionalNumber(from['energy_import_wh'], `${path}.energy_import_wh`) ?? 0,
    energy_export_wh: optionalNumber(from['energy_export_wh'], `${path}.energy_export_wh`) ?? 0,
    conflicts: optionalNumber(from['conflicts'], `${path}.conflicts`) ?? 0,
  };
}

export function devices(value: unknown): Device[] {
  return list(value, 'devices', device);
}

export function power(value: unknown): PowerColumns {
  const from = fields(value, 'power');
  const columns: PowerColumns = {
    resolution_ms: number(from['resolution_ms'], 'resolution_ms'),
    time_ms: list(from['time_ms'], 'time_ms', number),
    power_w: list(from['power_w'], 'power_w', optionalNumber),
    minimum_w: list(from['minimum_w'], 'minimum_w', optionalNumber),
    maximum_w: list(from['maximum_w'], 'maximum_w', optionalNumber),
    estimated: list(from['estimated'], 'estimated', flag),
  };
  const length = columns.time_ms.length;
  for (const name of ['power_w', 'minimum_w', 'maximum_w', 'estimated'] as const) {
    if (columns[name].length !== length) throw new DecodeError(name, `as long as time_ms (${length})`);
  }
  return inTimeOrder(columns);
}

/**
 * Puts buckets in the order of their ends, each end once. The engine sends readings in the order of
 * their numbers; where estimated times of two starts overlap, that is not the order of time.
 */
function inTimeOrder(columns: PowerColumns): PowerColumns {
  const { time_ms } = columns;
  const isRising = time_ms.every((time, index) => index === 0 || time > time_ms[index - 1]!);
  if (isRising) return columns;
  const order = [...time_ms.keys()].sort((a, b) => time_ms[a]! - time_ms[b]! || a - b);
  const kept = order.filter((place, index) => index === 0 || time_ms[place] !== time_ms[order[index - 1]!]);
  const pick = <T>(column: T[]) => kept.map((place) => column[place]!);
  return {
    resolution_ms: columns.resolution_ms,
    time_ms: pick(time_ms),
    power_w: pick(columns.power_w),
    minimum_w: pick(columns.minimum_w),
    maximum_w: pick(columns.maximum_w),
    estimated: pick(columns.estimated),
  };
}

function bar(value: unknown, path: string): EnergyBar {
  const from = fields(value, path);
  return {
    start_ms: number(from['start_ms'], `${path}.start_ms`),
    end_ms: number(from['end_ms'], `${path}.end_ms`),
    import_wh: number(from['import_wh'], `${path}.import_wh`),
    export_wh: number(from['export_wh'], `${path}.export_wh`),
    complete: flag(from['complete'], `${path}.complete`),
  };
}

export function energy(value: unknown): Energy {
  const from = fields(value, 'energy');
  return { time_zone: text(from['time_zone'], 'time_zone'), bars: list(from['bars'], 'bars', bar) };
}

export function reading(value: unknown): Reading {
  const from = fields(value, 'reading');
  return {
    time_ms: number(from['time_ms'], 'time_ms'),
    uncertainty_ms: optionalNumber(from['uncertainty_ms'], 'uncertainty_ms'),
    estimated: flag(from['estimated'], 'estimated'),
    power_w: optionalNumber(from['power_w'], 'power_w'),
    reactive_power_var: optionalNumber(from['reactive_power_var'], 'reactive_power_var'),
    voltage_v: optionalNumber(from['voltage_v'], 'voltage_v'),
    current_a: optionalNumber(from['current_a'], 'current_a'),
    frequency_hz: optionalNumber(from['frequency_hz'], 'frequency_hz'),
    energy_import_wh: number(from['energy_import_wh'], 'energy_import_wh'),
    energy_export_wh: number(from['energy_export_wh'], 'energy_export_wh'),
    coverage: optionalNumber(from['coverage'], 'coverage'),
  };
}

export function jobId(value: unknown): string {
  return text(fields(value, 'answer')['job'], 'job');
}

function progress(value: unknown, path: string): JobProgress {
  const from = fields(value, path);
  return {
    device: text(from['device'], `${path}.device`),
    done: number(from['done'], `${path}.done`),
    total: number(from['total'], `${path}.total`),
    error: optionalText(from['error'], `${path}.error`),
  };
}

export function job(value: unknown): Job {
  const from = fields(value, 'job');
  const state = from['state'];
  if (state !== 'running' && state !== 'done' && state !== 'failed') throw new DecodeError('state', 'a known job state');
  return {
    id: text(from['id'], 'id'),
    state,
    progress: list(from['progress'], 'progress', progress),
    message: optionalText(from['message'], 'message'),
  };
}
