//! One meter under test: a front end with a current transformer, and its calibration.

use std::f64::consts::SQRT_2;

use metering::{
    Calibration, Channel, ChannelConfig, Output, Pair, VoltageInput,
    calibration::{Capture, Reference},
};
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
    /// Makes a meter and calibrates it with a capture of a minute without a load and one of two minutes at nominal current.
    ///
    /// # Panics
    /// When the metering refuses a capture.
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
            calibration: Calibration::ideal(
                (front_end.full_scale_v * SQRT_2 / half * 1e9).round() as u32,
                (front_end.full_scale_a * SQRT_2 / half * 1e9).round() as u32,
            ),
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

    /// Noise first: what is subtracted cannot be seen any more.
    fn calibrate(&mut self) {
        let unloaded = Signal::steady(50.0, Waveform::sine(NOMINAL_V, 0.0), Waveform::default());
        self.calibration = self
            .capture(&unloaded, NO_LOAD_S)
            .solve_no_load(&self.calibration)
            .expect("no load is no load");
        let loaded = self.calibration_signal();
        let reference = Reference {
            voltage_mv: Some((NOMINAL_V * 1e3) as u32),
            active_power_mw: (loaded.mean_power_w() * 1e3).round() as u32,
            resistive: true,
        };
        self.calibration = self
            .capture(&loaded, CALIBRATION_S)
            .solve_load(&self.calibration, &reference)
            .expect("the load is as said");
    }

    /// Returns the worst error of gain in percent, of voltage and of current, and that of phase in degrees at 50 Hz.
    #[must_use]
    pub fn calibration_errors(&self) -> (f64, f64) {
        let front_end = &self.front_end;
        let half = f64::from(1_u32 << (front_end.bits - 1));
        let error = |nano_per_code: u32, full_scale: f64, gain: f64| {
            let truth = full_scale * SQRT_2 / (half * gain);
            (f64::from(nano_per_code) / 1e9 / truth - 1.0).abs() * 100.0
        };
        let voltage = error(
            self.calibration.voltage_nv_per_code,
            front_end.full_scale_v,
            front_end.voltage_gain,
        );
        let current = error(
            self.calibration.current_na_per_code,
            front_end.full_scale_a,
            front_end.current_gain,
        );
        let skew_us = f64::from(self.calibration.current_skew_ns) / 1e3 - front_end.skew_us;
        (voltage.max(current), (skew_us * 1e-6 * 50.0 * 360.0).abs())
    }

    /// Power of one code of voltage times one code of current, in W.
    pub(super) fn watts_per_code(&self) -> f64 {
        f64::from(self.calibration.voltage_nv_per_code)
            * f64::from(self.calibration.current_na_per_code)
            * 1e-18
    }

    /// How much later the current of a pair is than its voltage, as the calibration says, in pairs.
    pub(super) fn skew_pairs(&self) -> f64 {
        f64::from(self.calibration.current_skew_ns) * 1e-9 * self.rate_hz
    }

    fn capture(&self, signal: &Signal, seconds: f64) -> Capture {
        let mut channel = self.channel();
        let mut sampler = Sampler::new(signal, self.front_end, self.rate_hz, self.seed ^ 0xca1);
        let mut pairs = [Pair::default(); PORTION];
        let mut capture = Capture::default();
        let to_us = ((WARM_UP_S + seconds) * 1e6) as u64;
        while sampler.time_us() < to_us {
            sampler.fill(&mut pairs);
            channel.push(&pairs, sampler.time_us(), &mut |output| {
                if let Output::Window(window) = output
                    && window.end_us > (WARM_UP_S * 1e6) as u64
                {
                    capture.add(&window);
                }
            });
        }
        capture
    }

    /// Makes a channel with this calibration.
    ///
    /// # Panics
    /// When the calibration went so wrong that the channel refuses it.
    #[must_use]
    pub fn channel(&self) -> Channel {
        Channel::new(ChannelConfig {
            calibration: self.calibration,
            voltage: VoltageInput::Own,
            full_scale_code: ((1_u32 << self.front_end.bits) - 1) as u16,
            sample_rate_hz: self.nominal_rate_hz,
            interval_ms: 10_000,
            power_unit_mw: 1_000,
        })
        .expect("the calibration of a model is in range")
    }
}
