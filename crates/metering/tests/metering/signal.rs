//! Mains signals of known quantities, sampled by an ideal 16-bit converter.

use std::f64::consts::{SQRT_2, TAU};

use metering::{
    Calibration, Channel, ChannelConfig, Interval, Output, Pair, Spectrum, VoltageInput, Window,
};

pub(crate) const VOLTAGE_NV_PER_CODE: u32 = 16_544_000;
pub(crate) const CURRENT_NA_PER_CODE: u32 = 4_795_000;
/// Pairs in a portion.
pub(crate) const PORTION: u64 = 100;

/// Steady mains with a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signal {
    pub(crate) frequency_hz: f64,
    pub(crate) voltage_v: f64,
    pub(crate) current_a: f64,
    /// How far the current lags, in turns.
    pub(crate) lag: f64,
    /// Share of the voltage that is fifth harmonic, of the current that is third and fifth.
    pub(crate) distortion: (f64, f64),
    /// Middles of voltage and current in codes.
    pub(crate) middle: (f64, f64),
    /// Rate of the samples by the timer.
    pub(crate) rate_hz: f64,
    /// Rate of the samples by the configuration.
    pub(crate) nominal_rate_hz: u32,
}

impl Default for Signal {
    fn default() -> Self {
        Self {
            frequency_hz: 50.0,
            voltage_v: 230.0,
            current_a: 5.0,
            lag: 0.0,
            distortion: (0.0, 0.0),
            middle: (32_768.0, 32_768.0),
            rate_hz: 2_000.0,
            nominal_rate_hz: 2_000,
        }
    }
}

impl Signal {
    pub(crate) fn config(&self) -> ChannelConfig {
        ChannelConfig {
            calibration: Calibration::ideal(VOLTAGE_NV_PER_CODE, CURRENT_NA_PER_CODE),
            voltage: VoltageInput::Own,
            full_scale_code: u16::MAX,
            sample_rate_hz: self.nominal_rate_hz,
            interval_ms: 1_000,
            power_unit_mw: 100,
        }
    }

    /// Makes the pair at a time.
    pub(crate) fn pair(&self, seconds: f64) -> Pair {
        let turn = seconds * self.frequency_hz + 0.123;
        let sine = |turns: f64| SQRT_2 * (turns.fract() * TAU).sin();
        let (fifth_v, harmonics_a) = self.distortion;
        let voltage = self.voltage_v * (sine(turn) + fifth_v * sine(5.0 * turn + 0.4));
        let lagging = turn - self.lag;
        let current = self.current_a
            * (sine(lagging) + harmonics_a * (sine(3.0 * lagging) + sine(5.0 * lagging + 0.1)));
        let code = |value: f64, nano_per_code: u32, middle: f64| {
            (value * 1e9 / f64::from(nano_per_code) + middle).round() as u16
        };
        Pair {
            voltage: code(voltage, VOLTAGE_NV_PER_CODE, self.middle.0),
            current: code(current, CURRENT_NA_PER_CODE, self.middle.1),
        }
    }

    /// Time of sample `index` in µs.
    pub(crate) fn time_us(&self, index: u64) -> u64 {
        ((index + 1) as f64 / self.rate_hz * 1e6) as u64
    }

    pub(crate) fn active_power_w(&self) -> f64 {
        let (fifth_v, harmonics_a) = self.distortion;
        let fifth = fifth_v * harmonics_a * ((0.1 - 0.4 - 5.0 * self.lag) * TAU).cos();
        self.voltage_v * self.current_a * ((self.lag * TAU).cos() + fifth)
    }

    pub(crate) fn reactive_power_var(&self) -> f64 {
        self.voltage_v * self.current_a * (self.lag * TAU).sin()
    }

    /// Feeds a channel for so many seconds from a sample on, in portions; `skipped` portions are lost.
    pub(crate) fn feed(
        &self,
        channel: &mut Channel,
        samples: std::ops::Range<u64>,
        skipped: impl Fn(u64) -> bool,
    ) -> Measured {
        let mut measured = Measured::default();
        let mut at = samples.start;
        while at < samples.end {
            let end = samples.end.min(at + PORTION);
            if !skipped(at) {
                let pairs: Vec<Pair> = (at..end)
                    .map(|index| self.pair((index + 1) as f64 / self.rate_hz))
                    .collect();
                channel.push(&pairs, self.time_us(end - 1), &mut |output| {
                    measured.take(output)
                });
            }
            at = end;
        }
        measured
    }

    /// Measures so many seconds with a new channel.
    pub(crate) fn measure(&self, seconds: u64) -> Measured {
        let mut channel = Channel::new(self.config()).expect("in range");
        let samples = (seconds as f64 * self.rate_hz) as u64;
        self.feed(&mut channel, 0..samples, |_| false)
    }
}

/// What a channel gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) windows: Vec<Window>,
    pub(crate) intervals: Vec<Interval>,
    pub(crate) spectra: Vec<Spectrum>,
}

impl Measured {
    pub(crate) fn take(&mut self, output: Output) {
        match output {
            Output::Window(window) => self.windows.push(window),
            Output::Interval(interval) => self.intervals.push(interval),
            Output::Spectrum(spectrum) => self.spectra.push(spectrum),
        }
    }

    /// Energy of the intervals in J; a quantum is 0.1 W · 1 s.
    pub(crate) fn energy_j(&self) -> f64 {
        self.intervals
            .iter()
            .map(|interval| f64::from(interval.energy_quanta))
            .sum::<f64>()
            * 0.1
    }
}

/// Makes a source of normal values of mean 0 and deviation 1, the same for the same seed.
pub(crate) fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed | 1;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    // Twelve uniform values make a normal one.
    move || (0..12).map(|_| uniform()).sum()
}
