//! Models of what lies between the mains and a pair of ADC codes.

use metering::{Calibration, ChannelConfig, VoltageInput};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg32;

/// Voltage that a front end is made for, in V.
const NOMINAL_V: f64 = 230.0;
/// Default time between readings in ms; a meter has its own.
const INTERVAL_MS: u32 = 10_000;
/// Default unit of power in mW; a meter has its own.
const POWER_UNIT_MW: u32 = 1_000;

/// The analogue side of a channel and its converter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrontEnd {
    /// Resolution of the converter in bits, 8 to 16.
    pub bits: u32,
    /// RMS value of the sine that just fills the converter's range, in V.
    pub full_scale_v: f64,
    /// RMS value of the sine that just fills the converter's range, in A.
    pub full_scale_a: f64,
    /// How much larger than its parts' values say the voltage appears.
    pub voltage_gain: f64,
    /// How much larger than its parts' values say the current appears.
    pub current_gain: f64,
    /// Middle of the voltage against that of the range, as a share of half the range.
    pub voltage_offset: f64,
    /// Middle of the current against that of the range, as a share of half the range.
    pub current_offset: f64,
    /// How far both middles swing within an hour, as a share of half the range.
    pub offset_drift: f64,
    /// White noise of each sample, rms, in codes.
    pub noise_lsb: f64,
    /// Bow of the converter's characteristic: so much up at the ends, so much down in the middle, in codes.
    pub bow_lsb: f64,
    /// How much later than the voltage the current is sampled, in µs.
    pub skew_us: f64,
}

impl FrontEnd {
    /// Returns a 16-bit converter without faults, for a current transformer of 100 A: it tests the arithmetic.
    #[must_use]
    pub fn reference() -> Self {
        Self {
            bits: 16,
            full_scale_v: NOMINAL_V / 0.6,
            full_scale_a: 100.0 / 0.9,
            voltage_gain: 1.0,
            current_gain: 1.0,
            voltage_offset: 0.0,
            current_offset: 0.0,
            offset_drift: 0.0,
            noise_lsb: 0.0,
            bow_lsb: 0.0,
            skew_us: 0.0,
        }
    }

    /// Returns the converter of an ESP32-C3 with a current transformer of `ct_amperes`; `seed` draws its tolerances.
    #[must_use]
    pub fn esp32c3(ct_amperes: f64, seed: u64) -> Self {
        let mut random = Pcg32::seed_from_u64(seed);
        let mut within = |share: f64| random.random_range(-share..=share);
        Self {
            bits: 12,
            full_scale_a: ct_amperes / 0.9,
            voltage_gain: 1.0 + within(0.03),
            current_gain: 1.0 + within(0.03),
            voltage_offset: within(0.04),
            current_offset: within(0.04),
            offset_drift: 0.01,
            noise_lsb: 3.0,
            bow_lsb: 2.0,
            skew_us: 30.0,
            ..Self::reference()
        }
    }

    /// Returns what a well calibrated meter has.
    #[must_use]
    pub fn channel_config(&self, sample_rate_hz: u32) -> ChannelConfig {
        let per_code = |codes_per_unit: f64| (1e9 / codes_per_unit).round() as u32;
        // Rounding to whole codes is noise of 1/12 code² where there is other noise, and depends on the signal else.
        let noise_lsb = if self.noise_lsb > 0.0 {
            (self.noise_lsb.powi(2) + 1.0 / 12.0).sqrt()
        } else {
            0.0
        };
        let noise_a = noise_lsb / self.codes_per_ampere();
        // Mean power of noise at the nominal voltage in 10 s, and six times that.
        let noise_w = noise_a * NOMINAL_V / (f64::from(sample_rate_hz) * 10.0).sqrt();
        ChannelConfig {
            calibration: Calibration {
                voltage_nv_per_code: per_code(self.codes_per_volt()),
                current_na_per_code: per_code(self.codes_per_ampere()),
                current_skew_ns: (self.skew_us * 1e3).round() as i32,
                current_noise_na: (noise_a * 1e9).round() as u32,
                no_load_mw: (6.0 * noise_w * 1e3).round() as u16,
            },
            voltage: VoltageInput::Own,
            full_scale_code: self.code_max(),
            sample_rate_hz,
            interval_ms: INTERVAL_MS,
            power_unit_mw: POWER_UNIT_MW,
        }
    }

    pub(super) fn code_max(&self) -> u16 {
        ((1_u32 << self.bits) - 1) as u16
    }

    /// Half the range in codes.
    pub(super) fn half_range(&self) -> f64 {
        f64::from(1_u32 << (self.bits - 1))
    }

    pub(super) fn codes_per_volt(&self) -> f64 {
        self.half_range() * self.voltage_gain / (self.full_scale_v * std::f64::consts::SQRT_2)
    }

    pub(super) fn codes_per_ampere(&self) -> f64 {
        self.half_range() * self.current_gain / (self.full_scale_a * std::f64::consts::SQRT_2)
    }
}
