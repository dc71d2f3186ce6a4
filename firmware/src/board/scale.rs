//! What the parts around the chip make of volts and amperes; docs/hardware.md tells which parts.

use metering::{Calibration, ChannelConfig, VoltageInput};

use crate::sampling::{Sampler, curve::CODES_PER_MV};

/// Mains voltage in µV for each mV at the pin: the divider gives 0.53 V for 230 V.
const MAINS_UV_PER_MV: u64 = 434_000;
/// Turns ratio of the current transformers: 100 A to 50 mA.
pub const CT_RATIO: u32 = 2_000;
/// Mains current in µA for each mV at the pin: that many turns over a burden of 16 Ω.
const MAINS_UA_PER_MV: u64 = 125_000;
/// The meter has its own; these are only in range.
const INTERVAL_MS: u32 = 10_000;
const POWER_UNIT_MW: u32 = 1_000;

/// Returns scale and rhythm of a channel by the values of its parts.
pub fn channel_config(sampler: &Sampler, channel: usize) -> ChannelConfig {
    let nano_per_code = |micro_per_mv: u64| (micro_per_mv * 1_000 / u64::from(CODES_PER_MV)) as u32;
    ChannelConfig {
        calibration: Calibration {
            current_skew_ns: Sampler::skew_ns(channel),
            ..Calibration::ideal(
                nano_per_code(MAINS_UV_PER_MV),
                nano_per_code(MAINS_UA_PER_MV),
            )
        },
        voltage: VoltageInput::Own,
        full_scale_code: sampler.full_scale_code(channel),
        sample_rate_hz: Sampler::rate_hz(),
        interval_ms: INTERVAL_MS,
        power_unit_mw: POWER_UNIT_MW,
    }
}
