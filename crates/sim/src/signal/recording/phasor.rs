//! What pairs of samples say about power: sums of products, and the fundamental.

use std::f64::consts::TAU;

use crate::signal::source::Means;

/// Voltage below which nothing is mains, in V rms, as in the metering.
pub(crate) const VOLTAGE_V_MIN: f64 = 20.0;
/// Frequencies that are the mains', in Hz, as in the metering.
const FREQUENCIES_HZ: std::ops::RangeInclusive<f64> = 40.0..=70.0;
/// Cycles over which the fundamental is taken to keep its frequency: a drift by 20 mHz turns it by 1.4°.
const BLOCK_CYCLES: f64 = 10.0;

/// Sums over samples.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    voltage_square: f64,
    current_square: f64,
    product: f64,
    /// Reactive power of each block times its samples.
    reactive: f64,
}

impl Sums {
    /// Adds pairs that follow each other; without a frequency there is no reactive power.
    pub(super) fn add(
        &mut self,
        pairs: &[[f32; 2]],
        offset: [f64; 2],
        cycles_per_sample: Option<f64>,
    ) {
        for pair in pairs {
            let [v, i] = less(pair, offset);
            self.voltage_square += v * v;
            self.current_square += i * i;
            self.product += v * i;
        }
        let Some(cycles_per_sample) = cycles_per_sample else {
            return;
        };
        // Blocks of equal length, so that none is a fraction of a cycle.
        let blocks = (pairs.len() as f64 * cycles_per_sample / BLOCK_CYCLES).round() as usize;
        let block = pairs.len().div_ceil(blocks.max(1)).max(1);
        for pairs in pairs.chunks(block) {
            self.reactive += reactive_power(pairs, offset, cycles_per_sample) * pairs.len() as f64;
        }
    }

    /// Returns the means over so many samples; all 0 over none.
    pub(super) fn means(&self, samples: u64) -> Means {
        let mean = |sum: f64| sum / samples.max(1) as f64;
        Means {
            active_power_w: mean(self.product),
            reactive_power_var: mean(self.reactive),
            voltage_v: mean(self.voltage_square).sqrt(),
            current_a: mean(self.current_square).sqrt(),
        }
    }
}

/// With the phasors V and I of peak values, Q is the imaginary part of V·I*/2; a peak is twice the mean correlation.
fn reactive_power(pairs: &[[f32; 2]], offset: [f64; 2], cycles_per_sample: f64) -> f64 {
    let (step_sine, step_cosine) = (cycles_per_sample * TAU).sin_cos();
    let (mut sine, mut cosine) = (0.0, 1.0);
    // Cosine and sine parts of voltage and current.
    let mut parts = [[0.0; 2]; 2];
    for pair in pairs {
        for (part, value) in parts.iter_mut().zip(less(pair, offset)) {
            part[0] += value * cosine;
            part[1] += value * sine;
        }
        (sine, cosine) = (
            sine * step_cosine + cosine * step_sine,
            cosine * step_cosine - sine * step_sine,
        );
    }
    let [voltage, current] = parts;
    2.0 * (voltage[0] * current[1] - voltage[1] * current[0]) / (pairs.len() as f64).powi(2)
}

/// Counts the voltage's cycles between its first and its last rise through the middle; a rise counts once it was a
/// quarter of the rms value below, so that noise makes none.
pub(super) fn frequency_hz(pairs: &[[f32; 2]], middle: f64, sample_rate_hz: u32) -> Option<f64> {
    let voltage = |pair: &[f32; 2]| f64::from(pair[0]) - middle;
    let square: f64 = pairs.iter().map(|pair| voltage(pair).powi(2)).sum();
    let rms = (square / pairs.len() as f64).sqrt();
    if rms < VOLTAGE_V_MIN {
        return None;
    }
    let (mut armed, mut cycles, mut first, mut last) = (false, 0_u64, None, 0.0);
    for (index, pair) in pairs.windows(2).enumerate() {
        let (before, after) = (voltage(&pair[0]), voltage(&pair[1]));
        armed |= before < -rms / 4.0;
        if armed && after >= 0.0 {
            armed = false;
            last = index as f64 - before / (after - before);
            match first {
                None => first = Some(last),
                Some(_) => cycles += 1,
            }
        }
    }
    let samples = last - first?;
    let frequency_hz = cycles as f64 * f64::from(sample_rate_hz) / samples;
    FREQUENCIES_HZ
        .contains(&frequency_hz)
        .then_some(frequency_hz)
}

fn less(pair: &[f32; 2], offset: [f64; 2]) -> [f64; 2] {
    [
        f64::from(pair[0]) - offset[0],
        f64::from(pair[1]) - offset[1],
    ]
}
