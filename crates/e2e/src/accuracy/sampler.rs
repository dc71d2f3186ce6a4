//! From a signal to pairs of ADC codes: each sample is the signal's exact value at its time, through a front end.

use std::{
    f64::consts::{SQRT_2, TAU},
    sync::LazyLock,
};

use metering::Pair;
use rand::{Rng as _, SeedableRng as _};
use rand_distr::{Distribution as _, StandardNormal};
use rand_pcg::Pcg64Mcg;
use sim::signal::FrontEnd;

use super::signal::{CurrentNow, Signal};

/// Values of noise that are drawn from.
const NOISES: usize = 1 << 16;
/// Time of the first sample after the start of the signal, in s: filters look back from it.
const START_S: f64 = 1.0;

/// A normal distribution of values, of rms 1 and without a mean.
static NOISE: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let mut random = Pcg64Mcg::seed_from_u64(0x6e6f_6973_6500);
    let drawn: Vec<f64> = (0..NOISES)
        .map(|_| StandardNormal.sample(&mut random))
        .collect();
    let mean = drawn.iter().sum::<f64>() / NOISES as f64;
    let square: f64 = drawn.iter().map(|value| (value - mean).powi(2)).sum();
    let rms = (square / NOISES as f64).sqrt();
    drawn.iter().map(|value| (value - mean) / rms).collect()
});

/// Returns values of noise of rms 1 and without a mean; a power of two of them.
pub(crate) fn noise() -> &'static [f64] {
    &NOISE
}

/// What a converter makes of values in codes from the middle of its range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Converter {
    half: f64,
    code_max: f64,
    bow_lsb: f64,
    noise_lsb: f64,
}

impl Converter {
    pub(crate) fn of(front_end: &FrontEnd) -> Self {
        let half = f64::from(1_u32 << (front_end.bits - 1));
        Self {
            half,
            code_max: 2.0 * half - 1.0,
            bow_lsb: front_end.bow_lsb,
            noise_lsb: front_end.noise_lsb,
        }
    }

    /// Returns the code of a value with noise of rms 1.
    pub(crate) fn code(&self, value: f64, noise: f64) -> u16 {
        let share = value / self.half;
        let bow = self.bow_lsb * (2.0 * share * share - 1.0);
        let exact = self.half + value + bow + noise * self.noise_lsb;
        // To the nearest: what is below 0 becomes 0 all the same.
        (exact + 0.5).clamp(0.0, self.code_max) as u16
    }
}

/// Samples a signal.
#[derive(Debug)]
pub struct Sampler<'a> {
    signal: &'a Signal,
    front_end: FrontEnd,
    rate_hz: f64,
    sample: u64,
    current: CurrentNow,
    random: Pcg64Mcg,
}

impl<'a> Sampler<'a> {
    /// Starts a second into a signal; `rate_hz` is the rate at which it is really sampled.
    #[must_use]
    pub fn new(signal: &'a Signal, front_end: FrontEnd, rate_hz: f64, seed: u64) -> Self {
        Self {
            signal,
            front_end,
            rate_hz,
            sample: 0,
            current: CurrentNow::new(),
            random: Pcg64Mcg::seed_from_u64(seed),
        }
    }

    /// Returns the time of the last pair in µs since the start of the signal, as the timer of a meter would give it.
    #[must_use]
    pub fn time_us(&self) -> u64 {
        (self.time_s(self.sample.saturating_sub(1)) * 1e6).round() as u64
    }

    /// Makes the next pairs.
    pub fn fill(&mut self, pairs: &mut [Pair]) {
        let front_end = self.front_end;
        let half = f64::from(1_u32 << (front_end.bits - 1));
        let volts = half * front_end.voltage_gain / (front_end.full_scale_v * SQRT_2);
        let amperes = half * front_end.current_gain / (front_end.full_scale_a * SQRT_2);
        let drift = front_end.offset_drift * (self.time_s(self.sample) / 3_600.0 * TAU).sin();
        let offsets = [
            half * (front_end.voltage_offset + drift),
            half * (front_end.current_offset + drift),
        ];
        let skew_cycles = front_end.skew_us * 1e-6 * self.signal.frequency_hz;
        let converter = Converter::of(&front_end);
        let noise: &[f64] = &NOISE;
        for pair in pairs {
            let cycles = self.time_s(self.sample) * self.signal.frequency_hz;
            self.sample += 1;
            let (sine, cosine) = (cycles.fract() * TAU).sin_cos();
            let voltage = self.signal.voltage.at((cosine, sine)) * volts + offsets[0];
            let current = self.current.at(&self.signal.loads, cycles + skew_cycles);
            let bits = self.random.next_u64() as usize;
            pair.voltage = converter.code(voltage, noise[bits % NOISES]);
            pair.current =
                converter.code(current * amperes + offsets[1], noise[(bits >> 32) % NOISES]);
        }
    }

    fn time_s(&self, sample: u64) -> f64 {
        START_S + sample as f64 / self.rate_hz
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::signal::Waveform;

    fn pairs(signal: &Signal, front_end: FrontEnd) -> Vec<Pair> {
        let mut pairs = vec![Pair::default(); 20_000];
        Sampler::new(signal, front_end, 2_000.0, 1).fill(&mut pairs);
        pairs
    }

    #[test]
    fn codes_are_those_of_the_scale() {
        let signal = Signal::steady(50.0, Waveform::sine(230.0, 0.0), Waveform::sine(50.0, 0.0));
        let pairs = pairs(&signal, FrontEnd::reference());
        // 230 V are 60 % of full scale, 50 A are 45 % of it.
        let highest = pairs.iter().map(|pair| pair.voltage).max();
        assert_eq!(highest, Some((32_768.0 * 1.6_f64).round() as u16));
        let highest = pairs.iter().map(|pair| pair.current).max();
        assert_eq!(highest, Some((32_768.0 * 1.45_f64).round() as u16));
    }

    #[test]
    fn noise_and_offset_are_those_of_the_model() {
        let signal = Signal::steady(50.0, Waveform::sine(230.0, 0.0), Waveform::default());
        let mut front_end = FrontEnd::esp32c3(30.0, 3);
        front_end.current_offset = 0.04;
        front_end.offset_drift = 0.0;
        let pairs = pairs(&signal, front_end);
        let codes = || pairs.iter().map(|pair| f64::from(pair.current));
        let mean = codes().sum::<f64>() / 20_000.0;
        let square = codes().map(|code| (code - mean).powi(2)).sum::<f64>() / 20_000.0;
        // The bow is -2 codes in the middle; rounding adds 1/12 code² to the noise.
        assert!((mean - 2_048.0 * 1.04 + 2.0).abs() < 0.1, "{mean}");
        assert!((square.sqrt() - 3.014).abs() < 0.05, "{}", square.sqrt());
    }
}
