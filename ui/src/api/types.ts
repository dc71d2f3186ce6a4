// What the engine answers, as the pages use it. Names are those of the HTTP API, units last.
// Times are UTC milliseconds; energies are cumulative registers unless a type says otherwise.

/** The engine itself. */
export interface Status {
  version: string;
  /** IANA name of the zone in which the engine cuts days. */
  time_zone: string;
  data_dir: string;
  now_ms: number;
}

/** A meter, as far as it was collected. */
export interface Device {
  id: string;
  name: string;
  readings: number;
  last_reading_ms: number | null;
  last_collected_ms: number | null;
  power_w: number | null;
  energy_import_wh: number;
  energy_export_wh: number;
  /** Blocks that contradict one another; zero for a healthy meter. */
  conflicts: number;
}

/** Power over time, in columns of equal length. A bucket covers `[time − resolution, time)`. */
export interface PowerColumns {
  resolution_ms: number;
  time_ms: number[];
  /** Mean of the bucket; `null` where nothing was recorded. */
  power_w: (number | null)[];
  minimum_w: (number | null)[];
  maximum_w: (number | null)[];
  /** Whether the place in time is an estimate. */
  estimated: boolean[];
}

/** Energy of one hour, day or month, not cumulative. */
export interface EnergyBar {
  start_ms: number;
  end_ms: number;
  import_wh: number;
  export_wh: number;
  /** False where the span is still running or readings are missing. */
  complete: boolean;
}

export interface Energy {
  time_zone: string;
  bars: EnergyBar[];
}

export type EnergyStep = 'hour' | 'day' | 'month';

/** The newest reading with all its values; `null` where the meter does not measure the quantity. */
export interface Reading {
  time_ms: number;
  uncertainty_ms: number | null;
  estimated: boolean;
  power_w: number | null;
  reactive_power_var: number | null;
  voltage_v: number | null;
  current_a: number | null;
  frequency_hz: number | null;
  energy_import_wh: number;
  energy_export_wh: number;
  /** Share of samples present, 0 to 1. */
  coverage: number | null;
}

export interface JobProgress {
  device: string;
  done: number;
  total: number;
  error: string | null;
}

/** A collection under way or ended. */
export interface Job {
  id: string;
  state: 'running' | 'done' | 'failed';
  progress: JobProgress[];
  message: string | null;
}
