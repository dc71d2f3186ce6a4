//! The converter of the emulated chip, and how the firmware straightens it.

/// The firmware's own source.
#[path = "../../../../../firmware/src/sampling/curve.rs"]
mod curve;

pub(crate) use curve::{CODES_PER_MV, Curve};

/// The eFuses of the emulated chip: the ADC gives 2,030 for 1,370 mV.
const CALIBRATION_MV: u32 = 1_370;
const CALIBRATION_CODE: u32 = 2_030;
/// Error of the converter at 11 dB in mV, as a polynomial of its value in mV: the chip maker's, as esp-hal has it.
const ERROR: [f64; 5] = [
    -1.4912262772850453,
    -0.0228549975564099,
    0.0000356391935717,
    -0.0000000179964582,
    0.0000000000042046,
];

/// Returns how many mV a code of the emulated chip's converter means, in whole numbers as on the chip.
fn millivolts(code: u16) -> u16 {
    let one: i64 = 1 << 52;
    let gain = (CALIBRATION_MV << 16) / CALIBRATION_CODE;
    let value = (u32::from(code) * gain) >> 16;
    if value == 0 {
        return 0;
    }
    let terms = ERROR.iter().rev().map(|term| (term * one as f64) as i64);
    let sum = terms.fold(0_i64, |sum, term| sum * i64::from(value) + term);
    (value as i32 - (sum / one) as i32) as u16
}

/// Returns the curve that the firmware makes of the eFuses.
pub(crate) fn straight() -> Curve {
    Curve::of_millivolts(millivolts)
}
