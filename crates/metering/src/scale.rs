//! From codes to mains units.

use crate::config::Calibration;

/// Factors of one channel.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    voltage_nv: u64,
    current_na: u64,
    /// µW of one code² as `mantissa / 2^shift`, mantissa of 32 bits: exact to 2^-32.
    power_mantissa: u32,
    power_shift: u32,
}

impl Scale {
    pub(crate) fn new(calibration: &Calibration) -> Self {
        let voltage_nv = u64::from(calibration.voltage_nv_per_code);
        let current_na = u64::from(calibration.current_na_per_code);
        // nV · nA are 10^-12 µW. 2^60 · 2^64 at most, and at least 2^24 after the division.
        let factor = (u128::from(voltage_nv * current_na) << 64) / 1_000_000_000_000;
        let excess = (128 - factor.leading_zeros()) as i32 - 32;
        let mantissa = if excess >= 0 {
            factor >> excess
        } else {
            factor << -excess
        };
        Self {
            voltage_nv,
            current_na,
            power_mantissa: mantissa as u32,
            power_shift: (64 - excess) as u32,
        }
    }

    /// Power in µW of a covariance in 1/2^15 code² (below 2^47).
    pub(crate) fn power_uw(&self, covariance_q15: i64) -> i64 {
        let shift = self.power_shift + 15;
        let product = i128::from(covariance_q15) * i128::from(self.power_mantissa);
        ((product + (1 << (shift - 1))) >> shift) as i64
    }

    /// RMS voltage in mV of a variance in 1/2^15 code² (below 2^46).
    pub(crate) fn voltage_mv(&self, variance_q15: u64) -> u32 {
        let rms_q16 = root_q16(variance_q15);
        // 2^31 · 2^30.
        rounded(rms_q16 * self.voltage_nv, 1_000_000 << 16) as u32
    }

    /// RMS current in µA of a variance in 1/2^15 code² (below 2^46).
    pub(crate) fn current_ua(&self, variance_q15: u64) -> u64 {
        let rms_q16 = root_q16(variance_q15);
        rounded(rms_q16 * self.current_na, 1_000 << 16)
    }
}

/// Square root in 1/2^16 of a value in 1/2^15 below 2^46.
fn root_q16(value_q15: u64) -> u64 {
    (value_q15 << 17).isqrt()
}

fn rounded(dividend: u64, divisor: u64) -> u64 {
    (dividend + divisor / 2) / divisor
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(voltage_nv_per_code: u32, current_na_per_code: u32) -> Scale {
        Scale::new(&Calibration::ideal(
            voltage_nv_per_code,
            current_na_per_code,
        ))
    }

    #[test]
    fn one_volt_and_one_ampere_a_code_give_whole_units() {
        let scale = scale(1_000_000_000, 1_000_000_000);
        assert_eq!(scale.power_uw(3 << 15), 3_000_000);
        assert_eq!(scale.power_uw(-(1 << 46)), -(1 << 31) * 1_000_000);
        assert_eq!(scale.voltage_mv(100 << 15), 10_000);
        assert_eq!(scale.current_ua(100 << 15), 10_000_000);
        assert_eq!(scale.voltage_mv(1 << 45), 32_768_000);
    }

    #[test]
    fn smallest_scale_keeps_its_digits() {
        // 1 nV · 1 nA · 2^31 code² = 2147.48 · 10^-12 W.
        assert_eq!(scale(1, 1).power_uw(1 << 46), 0);
        assert_eq!(scale(1_000, 1_000).power_uw(1 << 46), 2147);
        assert_eq!(scale(1_000, 1_000).power_uw(-(1 << 46)), -2147);
    }
}
