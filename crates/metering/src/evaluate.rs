//! From a window's moments in codes to quantities of the mains.

use crate::{
    clock::SampleClock,
    config::{ChannelConfig, VoltageInput},
    cycle::Moments,
    interval::Segment,
    output::Flags,
    scale::Scale,
    skew,
};

/// Below this there is no mains.
const VOLTAGE_NV_MIN: u64 = 20_000_000_000;
/// Below this, in codes, a current that stands in for the voltage has no rises to be trusted.
const CURRENT_CODES_MIN: u64 = 8;

/// What a window knows besides its moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) end_us: u64,
    /// Weight in 1/2^15 samples.
    pub(crate) weight_q15: i64,
    /// Whole cycles and their length in 1/2^15 samples; 0 where none were seen.
    pub(crate) cycles: u32,
    pub(crate) cycles_q15: i64,
    /// Angle between two samples in 1/2^32 of a turn, 0 where it is unknown.
    pub(crate) step: u32,
    /// Angle by which a shared voltage is late, in 1/2^32 of a turn.
    pub(crate) voltage_angle: i32,
    pub(crate) clipped: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Evaluator {
    scale: Scale,
    voltage: VoltageInput,
    skew_ns: i32,
    /// Variance of the least signal that cycles are cut by, in 1/2^15 code².
    signal_variance_q15: u64,
    /// Variance of the current's noise in 1/2^15 code².
    noise_variance_q15: u64,
}

impl Evaluator {
    pub(crate) fn new(config: &ChannelConfig) -> Self {
        let calibration = &config.calibration;
        // Noise beyond the converter's range would hide any current; 2^16 code squared and shifted fit.
        let noise_q15 = (u64::from(calibration.current_noise_na) << 15)
            / u64::from(calibration.current_na_per_code);
        let noise_q15 = u128::from(noise_q15.min(1 << 31));
        let noise_variance_q15 = ((noise_q15 * noise_q15) >> 15) as u64;
        let signal_variance_q15 = match config.voltage {
            VoltageInput::Own | VoltageInput::Shared(_) => {
                let codes =
                    (VOLTAGE_NV_MIN / u64::from(calibration.voltage_nv_per_code)).min(1 << 16);
                codes.pow(2) << 15
            }
            VoltageInput::Assumed { .. } => {
                (CURRENT_CODES_MIN.pow(2) << 15).max(noise_variance_q15.saturating_mul(9))
            }
        };
        Self {
            scale: Scale::new(calibration),
            voltage: config.voltage,
            skew_ns: calibration.current_skew_ns,
            signal_variance_q15,
            noise_variance_q15,
        }
    }

    /// Tells whether there is a signal that cycles can be cut by.
    pub(crate) fn has_signal(&self, moments: &Moments) -> bool {
        moments.variance_q15.0 >= self.signal_variance_q15
    }

    pub(crate) fn segment(&self, moments: &Moments, facts: &Facts, clock: &SampleClock) -> Segment {
        let variance_q15 = moments
            .variance_q15
            .1
            .saturating_sub(self.noise_variance_q15);
        let mut segment = Segment {
            end_us: facts.end_us,
            covered_us: (facts.weight_q15 as u64 * clock.period_q20()) >> 35,
            power_uw: 0,
            reactive_uvar: None,
            voltage_mv: 0,
            current_ua: self.scale.current_ua(variance_q15),
            frequency_mhz: 0,
            flags: Flags::default(),
        };
        if facts.clipped {
            segment.flags |= Flags::CLIPPED;
        }
        if self.has_signal(moments) {
            segment.frequency_mhz = frequency_mhz(facts, clock);
        }
        match self.voltage {
            VoltageInput::Assumed {
                voltage_mv,
                power_factor_permille,
            } => {
                segment.flags |= Flags::ESTIMATED;
                // mV · µA · 1/1000 are pW: 2^20 · 2^47 · 2^10.
                let power_pw = u128::from(voltage_mv)
                    * u128::from(segment.current_ua)
                    * u128::from(power_factor_permille);
                segment.power_uw = (power_pw / 1_000_000) as i64;
            }
            VoltageInput::Own | VoltageInput::Shared(_) if self.has_signal(moments) => {
                let angle = facts
                    .voltage_angle
                    .wrapping_add(self.skew_angle(facts.step, clock));
                let covariance_q15 =
                    skew::covariance_q15(moments.covariance_q15, angle, facts.step);
                segment.power_uw = self.scale.power_uw(covariance_q15);
                segment.voltage_mv = self.scale.voltage_mv(moments.variance_q15.0);
                if facts.cycles > 0 {
                    let reactive_q15 = skew::reactive_q15(moments.fundamental_q15, angle);
                    segment.reactive_uvar = Some(self.scale.power_uw(reactive_q15));
                }
            }
            VoltageInput::Own | VoltageInput::Shared(_) => segment.flags |= Flags::NO_VOLTAGE,
        }
        segment
    }

    /// Skew as an angle of the fundamental in 1/2^32 of a turn.
    fn skew_angle(&self, step: u32, clock: &SampleClock) -> i32 {
        // 2^32 · 2^19 · 2^20, over 2^10 · at least 2^24.
        let turn = (i128::from(step) * i128::from(self.skew_ns)) << 20;
        (turn / (i128::from(clock.period_q20().max(1)) * 1_000)) as i32
    }
}

/// Frequency in mHz; 0 where the period of the samples is only nominal, or outside of 40 to 70 Hz.
fn frequency_mhz(facts: &Facts, clock: &SampleClock) -> u32 {
    if !clock.is_measured() || facts.cycles_q15 <= 0 {
        return 0;
    }
    // 2^29 · 2^30.
    let time_q20 = (facts.cycles_q15 as u64 * clock.period_q20()) >> 15;
    let cycles_e9_q20 = (u64::from(facts.cycles) * 1_000_000_000) << 20;
    let frequency_mhz = (cycles_e9_q20 + time_q20 / 2) / time_q20.max(1);
    if (40_000..=70_000).contains(&frequency_mhz) {
        frequency_mhz as u32
    } else {
        0
    }
}
