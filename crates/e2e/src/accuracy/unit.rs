//! One meter under test: a front end with a current transformer, and its calibration.

use std::f64::consts::SQRT_2;

use metering::{Channel, ChannelConfig, Output, Pair, VoltageInput, Window};
use sim::signal::FrontEnd;

use super::{
    sampler::Sampler,
    signal::{Signal, Waveform},
};

/// Nominal voltage in V.
pub const NOMINAL_V: f64 = 230.0;
/// Pairs that are fed at a time.
pub(super) const PORTION: usize = 100;
/// Time that a meter has to find rate and mains before anything counts, in s.
pub(super) const WARM_UP_S: f64 = 20.0;
/// Length of the capture that gain and phase come from, in s.
const CALIBRATION_S: f64 = 120.0;
/// Length of the capture without a load, in s.
const NO_LOAD_S: f64 = 60.0;
/// How far the reference's clock is off: a locked one would meet every cycle at the same 40 points.
const REFERENCE_CLOCK_ERROR: f64 = 0.00113;

/// Front-end models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Model {
    /// 16 bit without faults.
    Reference,
    /// The converter of an ESP32-C3.
    Esp32c3,
}

/// Current transformers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transformer {
    /// 30 A, used as a meter of 5(30) A.
    Ct30,
    /// 100 A, used as a meter of 20(100) A.
    Ct100,
}

impl Transformer {
    /// Returns the highest current in A.
    #[must_use]
    pub fn maximum_a(self) -> f64 {
        match self {
            Self::Ct30 => 30.0,
            Self::Ct100 => 100.0,
        }
    }

    /// Returns the basic, or nominal, current in A.
    #[must_use]
    pub fn nominal_a(self) -> f64 {
        match self {
            Self::Ct30 => 5.0,
            Self::Ct100 => 20.0,
        }
    }
}

/// What a calibration found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Mains voltage of one code in V.
    pub volts_per_code: f64,
    /// Mains current of one code in A.
    pub amperes_per_code: f64,
    /// How much later the current of a pair is than its voltage, in s.
    pub current_skew_s: f64,
    /// RMS noise of the current without a load, in A.
    pub current_noise_a: f64,
    /// Mean power over 10 s below which nothing counts, in W.
    pub no_load_w: f64,
}

/// A meter under test.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    /// Its front end's model.
    pub model: Model,
    /// Its current transformer.
    pub transformer: Transformer,
    /// Its front end, with the tolerances drawn.
    pub front_end: FrontEnd,
    /// Pairs a second that it is told.
    pub nominal_rate_hz: u32,
    /// Pairs a second that it really gets.
    pub rate_hz: f64,
    /// Its calibration.
    pub calibration: Calibration,
    /// What its tolerances and noise are drawn from.
    pub seed: u64,
}

impl Unit {
    /// Makes a meter and calibrates it with a capture of two minutes at nominal current and one without a load.
    #[must_use]
    pub fn calibrated(
        model: Model,
        transformer: Transformer,
        nominal_rate_hz: u32,
        seed: u64,
    ) -> Self {
        let (front_end, clock_error) = match model {
            Model::Reference => (
                FrontEnd {
                    full_scale_a: transformer.maximum_a() / 0.9,
                    ..FrontEnd::reference()
                },
                REFERENCE_CLOCK_ERROR,
            ),
            // The seed also draws where in ±1 % the clock is.
            Model::Esp32c3 => (
                FrontEnd::esp32c3(transformer.maximum_a(), seed),
                (seed as f64 * 0.618_034).fract() * 0.02 - 0.01,
            ),
        };
        let half = f64::from(1_u32 << (front_end.bits - 1));
        let mut unit = Self {
            model,
            transformer,
            front_end,
            nominal_rate_hz,
            rate_hz: f64::from(nominal_rate_hz) * (1.0 + clock_error),
            calibration: Calibration {
                volts_per_code: front_end.full_scale_v * SQRT_2 / half,
                amperes_per_code: front_end.full_scale_a * SQRT_2 / half,
                current_skew_s: 0.0,
                current_noise_a: 0.0,
                no_load_w: 0.0,
            },
            seed,
        };
        unit.calibrate();
        unit
    }

    /// Returns the signal that the gains are calibrated with: nominal voltage and current, power factor 1, 50 Hz.
    #[must_use]
    pub fn calibration_signal(&self) -> Signal {
        Signal::steady(
            50.0,
            Waveform::sine(NOMINAL_V, 0.0),
            Waveform::sine(self.transformer.nominal_a(), 0.0),
        )
    }

    fn calibrate(&mut self) {
        let loaded = self.calibration_signal();
        let before = Means::of(&self.windows(&loaded, CALIBRATION_S));
        // At power factor 1 all reactive power is skew: the current seems ahead by as much as it was taken later.
        let ahead = -before.reactive_w.atan2(before.power_w);
        self.calibration.current_skew_s = ahead / (std::f64::consts::TAU * loaded.frequency_hz);
        let skewless = Means::of(&self.windows(&loaded, CALIBRATION_S));
        let gain = NOMINAL_V / skewless.voltage_v;
        self.calibration.volts_per_code *= gain;
        // The power gives the current's gain, as noise does not touch it.
        self.calibration.amperes_per_code *= loaded.mean_power_w() / skewless.power_w / gain;
        let unloaded = Signal::steady(50.0, Waveform::sine(NOMINAL_V, 0.0), Waveform::default());
        let silent = self.windows(&unloaded, NO_LOAD_S);
        let means = Means::of(&silent);
        self.calibration.current_noise_a = means.current_a;
        let square: f64 = silent
            .iter()
            .map(|window| (f64::from(window.active_power_mw) / 1e3).powi(2))
            .sum();
        let window_s = NO_LOAD_S / silent.len() as f64;
        let sigma_10_s = (square / silent.len() as f64 * window_s / 10.0).sqrt();
        self.calibration.no_load_w = (6.0 * sigma_10_s).max(self.transformer.nominal_a() / 20.0);
    }

    fn windows(&self, signal: &Signal, seconds: f64) -> Vec<Window> {
        let mut channel = self.channel();
        let mut sampler = Sampler::new(signal, self.front_end, self.rate_hz, self.seed ^ 0xca1);
        let mut pairs = [Pair::default(); PORTION];
        let mut windows = Vec::new();
        let to_us = ((WARM_UP_S + seconds) * 1e6) as u64;
        while sampler.time_us() < to_us {
            sampler.fill(&mut pairs);
            channel.push(&pairs, sampler.time_us(), &mut |output| {
                if let Output::Window(window) = output
                    && window.end_us > (WARM_UP_S * 1e6) as u64
                {
                    windows.push(window);
                }
            });
        }
        windows
    }

    /// Makes a channel with this calibration.
    ///
    /// # Panics
    /// When the calibration went so wrong that the channel refuses it.
    #[must_use]
    pub fn channel(&self) -> Channel {
        Channel::new(calibrated(self)).expect("the calibration of a model is in range")
    }
}

/// The one place where a calibration becomes a configuration.
fn calibrated(unit: &Unit) -> ChannelConfig {
    let calibration = &unit.calibration;
    ChannelConfig {
        calibration: metering::Calibration {
            voltage_nv_per_code: (calibration.volts_per_code * 1e9).round() as u32,
            current_na_per_code: (calibration.amperes_per_code * 1e9).round() as u32,
            current_skew_ns: (calibration.current_skew_s * 1e9).round() as i32,
            current_noise_na: (calibration.current_noise_a * 1e9).round() as u32,
            no_load_mw: (calibration.no_load_w * 1e3).round() as u16,
        },
        voltage: VoltageInput::Own,
        full_scale_code: ((1_u32 << unit.front_end.bits) - 1) as u16,
        sample_rate_hz: unit.nominal_rate_hz,
        interval_ms: 10_000,
        power_unit_mw: 1_000,
    }
}

/// Means over windows.
struct Means {
    voltage_v: f64,
    current_a: f64,
    power_w: f64,
    reactive_w: f64,
}

impl Means {
    fn of(windows: &[Window]) -> Self {
        let mean = |value: fn(&Window) -> f64| {
            windows.iter().map(value).sum::<f64>() / windows.len() as f64
        };
        Self {
            voltage_v: mean(|window| f64::from(window.voltage_mv)) / 1e3,
            current_a: mean(|window| f64::from(window.current_ua)) / 1e6,
            power_w: mean(|window| f64::from(window.active_power_mw)) / 1e3,
            reactive_w: mean(|window| f64::from(window.reactive_power_mvar)) / 1e3,
        }
    }
}
