//! Rows of readings: of a household's file, of a seed, with a frequency that wanders, with noise.

use std::{f64::consts::TAU, path::Path};

use anyhow::{Context as _, Result, ensure};
use protocol::ChannelReading;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, Normal};
use rand_pcg::Pcg64;
use sim::signal::LoadProfile;

/// Readings of 10 s that [`with_noise`] makes of a row.
const READINGS_A_ROW: usize = 6;
const MINUTES_A_DAY: usize = 1_440;
/// Nominal frequency, and how far it strays, in mHz.
const FREQUENCY_MHZ: (f64, f64) = (50_000.0, 50.0);
/// Standard deviation of a step of the frequency, in mHz.
const FREQUENCY_STEP_MHZ: f64 = 10.0;

/// Rounds values to whole numbers whose sum follows theirs: the rest is carried on.
#[derive(Clone, Copy, Debug, Default)]
struct Carried(f64);

impl Carried {
    fn round(&mut self, value: f64) -> i32 {
        let exact = value + self.0;
        self.0 = exact - exact.round();
        exact.round() as i32
    }
}

/// Reads the rows of a file in the format of the UCI household data, and counts those without a value.
///
/// Power in quanta of 1 W × 1 min with the rest carried on, Q in var, V in 0.1 V and I in 10 mA as the file has them (its
/// current is a multiple of 0.2 A). The frequency is not measured. Rows without a value are left out.
///
/// # Errors
/// When the file cannot be read, a value is no number, or there is no row.
pub fn read(path: &Path) -> Result<(Vec<ChannelReading>, usize)> {
    let mut reader = csv::ReaderBuilder::new().delimiter(b';').from_path(path)?;
    let (mut rows, mut missing) = (Vec::new(), 0);
    let mut carried = Carried::default();
    for record in reader.records() {
        let record = record?;
        let fields: Vec<&str> = record.iter().skip(2).take(4).collect();
        if fields.contains(&"?") {
            missing += 1;
            continue;
        }
        let values: Vec<f64> = fields
            .iter()
            .map(|field| field.parse())
            .collect::<Result<_, _>>()
            .with_context(|| format!("{}: {record:?}", path.display()))?;
        let [power_kw, reactive_kvar, voltage_v, current_a] = values[..] else {
            anyhow::bail!("{}: {record:?} is too short", path.display());
        };
        rows.push(ChannelReading {
            energy_quanta: carried.round(power_kw * 1e3),
            reactive_power_var: (reactive_kvar * 1e3).round() as i32,
            voltage_dv: (voltage_v * 10.0).round() as u16,
            current_ca: (current_a * 100.0).round() as u16,
            ..ChannelReading::default()
        });
    }
    ensure!(!rows.is_empty(), "{} has no rows", path.display());
    Ok((rows, missing))
}

/// Makes rows of a built-in household's day, one a minute.
#[must_use]
pub fn synthetic(seed: u64, rows: usize) -> Vec<ChannelReading> {
    let mut carried = Carried::default();
    LoadProfile::synthetic(seed, rows)
        .minutes()
        .iter()
        .map(|minute| {
            let (active_w, reactive_var) = (minute.active_power_w, minute.reactive_power_var);
            ChannelReading {
                energy_quanta: carried.round(active_w),
                reactive_power_var: reactive_var.round() as i32,
                voltage_dv: (minute.voltage_v * 10.0).round() as u16,
                current_ca: (active_w.hypot(reactive_var) * 100.0 / minute.voltage_v).round()
                    as u16,
                ..ChannelReading::default()
            }
        })
        .collect()
}

/// Gives rows a frequency that wanders: Gaussian steps of 10 mHz, reflected 50 mHz off 50 Hz, read in 10 mHz.
#[must_use]
pub fn with_frequency(rows: &[ChannelReading], seed: u64) -> Vec<ChannelReading> {
    let frequencies_mhz = wandering_mhz(seed);
    rows.iter()
        .zip(frequencies_mhz)
        .map(|(row, frequency_mhz)| {
            let frequency_chz = (frequency_mhz / 10.0).round() as u16;
            ChannelReading {
                frequency_chz,
                ..*row
            }
        })
        .collect()
}

/// Yields the frequency of one reading after the other in mHz, without an end.
pub(super) fn wandering_mhz(seed: u64) -> impl Iterator<Item = f64> {
    let mut random = Pcg64::seed_from_u64(seed);
    let steps = gaussian(FREQUENCY_STEP_MHZ);
    let mut off_mhz = 0.0;
    std::iter::repeat_with(move || {
        off_mhz = reflected(off_mhz + steps.sample(&mut random), FREQUENCY_MHZ.1);
        FREQUENCY_MHZ.0 + off_mhz
    })
}

/// Puts a solar roof of this peak on each day of rows by the minute, behind the meter: what it has too much is given.
#[must_use]
pub fn with_sun(rows: &[ChannelReading], peak_w: f64, seed: u64) -> Vec<ChannelReading> {
    let mut random = Pcg64::seed_from_u64(seed);
    let with = |(minute, row): (usize, &ChannelReading)| {
        // From six to six, with clouds that take up to a third.
        let height = ((minute % MINUTES_A_DAY) as f64 / MINUTES_A_DAY as f64 - 0.25) * TAU;
        let sun_w = peak_w * height.sin().max(0.0) * random.random_range(0.67..1.0);
        let net_w = f64::from(row.energy_quanta) - sun_w;
        let apparent_w = net_w.hypot(row.reactive_power_var.into());
        ChannelReading {
            energy_quanta: net_w.round() as i32,
            current_ca: (apparent_w * 1e3 / f64::from(row.voltage_dv)).round() as u16,
            ..*row
        }
    };
    rows.iter().enumerate().map(with).collect()
}

/// Makes six readings of 10 s of each row: power ±0.5 % and ±1 W, Q ±1 %, V ±0.2 V, all even, and the current follows.
#[must_use]
pub fn with_noise(rows: &[ChannelReading], seed: u64) -> Vec<ChannelReading> {
    let mut random = Pcg64::seed_from_u64(seed);
    let mut within = move |most: f64| random.random_range(-most..most);
    let mut carried = Carried::default();
    let mut readings = Vec::with_capacity(rows.len() * READINGS_A_ROW);
    for row in rows {
        let apparent_w = f64::from(row.current_ca) * f64::from(row.voltage_dv) / 1e3;
        let sinusoidal_w = f64::from(row.energy_quanta).hypot(row.reactive_power_var.into());
        // What the row's own current says beyond P and Q: harmonics and its coarse steps.
        let distortion = if sinusoidal_w > 0.0 {
            apparent_w / sinusoidal_w
        } else {
            1.0
        };
        for _ in 0..READINGS_A_ROW {
            let active_w = f64::from(row.energy_quanta) * (1.0 + within(0.005)) + within(1.0);
            let reactive_var = f64::from(row.reactive_power_var) * (1.0 + within(0.01));
            let voltage_v = f64::from(row.voltage_dv) / 10.0 + within(0.2);
            let current_a = active_w.hypot(reactive_var) * distortion / voltage_v;
            readings.push(ChannelReading {
                energy_quanta: carried.round(active_w),
                reactive_power_var: reactive_var.round() as i32,
                voltage_dv: (voltage_v * 10.0).round() as u16,
                current_ca: (current_a * 100.0).round() as u16,
                ..*row
            });
        }
    }
    readings
}

fn gaussian(deviation: f64) -> Normal<f64> {
    Normal::new(0.0, deviation).expect("a deviation above 0")
}

fn reflected(value: f64, most: f64) -> f64 {
    let mut value = value;
    while value.abs() > most {
        value = value.signum() * 2.0 * most - value;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carried_rest_keeps_the_sum() {
        let mut carried = Carried::default();
        let sum: i32 = (0..1_000).map(|_| carried.round(0.3)).sum();
        assert_eq!(sum, 300);
    }

    #[test]
    fn frequency_wanders_between_its_ends_and_reaches_them() {
        let rows = with_frequency(&synthetic(1, 2_000), 5);
        let of = |row: &ChannelReading| row.frequency_chz;
        assert_eq!(rows.iter().map(of).min(), Some(4_995));
        assert_eq!(rows.iter().map(of).max(), Some(5_005));
        // Half of all steps are within 0.67 deviations, so most readings differ from the one before.
        let moved = rows.windows(2).filter(|two| of(&two[0]) != of(&two[1]));
        assert!((1_000..1_500).contains(&moved.count()));
    }

    #[test]
    fn noise_keeps_the_energy_and_moves_every_field() {
        let rows = synthetic(1, 300);
        let noisy = with_noise(&rows, 2);
        assert_eq!(noisy.len(), 1_800);
        let energy = |rows: &[ChannelReading]| {
            let quanta = rows.iter().map(|row| f64::from(row.energy_quanta));
            quanta.sum::<f64>()
        };
        let ratio = energy(&noisy) / 6.0 / energy(&rows);
        assert!((ratio - 1.0).abs() < 0.002, "{ratio}");
        let differ = |of: fn(&ChannelReading) -> i64| {
            let same = noisy.windows(2).filter(|two| of(&two[0]) == of(&two[1]));
            1.0 - same.count() as f64 / noisy.len() as f64
        };
        assert!(differ(|row| row.energy_quanta.into()) > 0.5);
        assert!(differ(|row| row.voltage_dv.into()) > 0.5);
    }
}
