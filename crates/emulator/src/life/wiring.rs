//! What a meter's converter is wired to.

use sim::signal::{FrontEnd, Source};

use crate::adc::{Feed, Load};

/// Inputs of the converter for voltage and current.
const INPUTS: [u8; 2] = [0, 1];
/// Time from the conversion of the voltage to that of the current: the firmware converts both in turns, 4,000 a second.
const SKEW_US: f64 = 250.0;
/// What the largest code means by the emulated chip's eFuses (2,030 for 1,370 mV) and the chip maker's curve at 11 dB, in mV.
const FULL_SCALE_MV: f64 = 2_690.7;
/// V of the mains for each V at the pin, by the parts of docs/hardware.md.
const MAINS_V_PER_V: f64 = 434.0;
/// A of a current transformer of 100 A for each V at the pin, by the same parts.
const MAINS_A_PER_V: f64 = 125.0;

/// Wires the converter to a load by a meter's circuit, with a current transformer of so many A; `seed` draws the circuit's
/// tolerances and noise.
#[must_use]
pub fn wired(source: Source, transformer_a: f64, seed: u64) -> Feed {
    let full_scale_rms = FULL_SCALE_MV / 2_000.0 / std::f64::consts::SQRT_2;
    let front_end = FrontEnd {
        full_scale_v: full_scale_rms * MAINS_V_PER_V,
        full_scale_a: full_scale_rms * MAINS_A_PER_V * transformer_a / 100.0,
        skew_us: SKEW_US,
        ..FrontEnd::esp32c3(transformer_a, seed)
    };
    let load = Load {
        source,
        front_end,
        seed,
    };
    Feed::signal(INPUTS[0], INPUTS[1], load)
}
